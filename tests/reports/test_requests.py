"""What trackers report of FastAPI and Mangum behind Lambda: is each so on the embedded AWS, and is it not so of ours?

Each test is named after the report. In `app/reported.py` are the same routes twice: in the service, and under a plain
`Mangum(app)`, as its documentation has it, in a function of its own.
"""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from embedded_aws import EmbeddedAws, ManualClock
from scripts.project_changes import append
from scripts.projects import CHOICES
from tests.support.bake import Bake
from tests.support.deploy_tool import DeployedService, DeployTool, push_image
from tests.support.deployed_stage import NAME

REPORTED = """
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, BackgroundTasks, FastAPI, Response
from mangum import Mangum

router = APIRouter()
starts: list[str] = []


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    starts.append("connected to the database")
    yield


@router.get("/starts")
async def count() -> int:
    return len(starts)


@router.get("/broken")
async def broken() -> None:
    raise RuntimeError("out of cheese")


@router.get("/later")
async def later(tasks: BackgroundTasks) -> str:
    tasks.add_task(asyncio.sleep, 0.5)
    return "at once"


@router.get("/typed")
async def typed(media_type: str) -> Response:
    return Response("ü", media_type=media_type)


app = FastAPI(lifespan=lifespan)
app.include_router(router)
plain = Mangum(app)
"""


class Scene(DeployedService):
    """The service is live, and so is the function `plain`."""

    def invoke(self, function: str, event: dict[str, Any]) -> Any:
        """What it answers to this event; raises AssertionError when the invocation fails."""
        answer = self.aws.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event))
        said = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, said
        return said

    def next_period(self) -> None:
        """From now on alarms look at what happens from now on."""
        self.aws.clock.advance(300)

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:
            return json.load(answer)


def event(path: str, query: str = "") -> dict[str, Any]:
    http = {"method": "GET", "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "test"}
    context = {"http": http, "stage": "$default", "requestId": "1", "domainName": "test"}
    headers = {"host": "test"}
    request = {"rawPath": path, "rawQueryString": query, "headers": headers, "requestContext": context}
    return {"version": "2.0", "routeKey": "$default", "isBase64Encoded": False} | request


def behind(endpoint: str) -> pytest.MarkDecorator:
    """For a test that asks this of one endpoint only."""
    return pytest.mark.parametrize("on", [endpoint], indirect=True)


@pytest.fixture(scope="module", params=CHOICES["endpoint"])
def on(bake: Bake, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Scene]:
    project = bake(endpoint=request.param).copy(tmp_path_factory.mktemp("reported"))
    (project.path / "app/reported.py").write_text(REPORTED, encoding="utf-8")
    project.edit("app/main.py", "from app.routers", "from app import reported\nfrom app.routers")
    project.edit("app/main.py", "app = FastAPI(\n", "app = FastAPI(\n    lifespan=reported.lifespan,\n")
    append(project, "app/main.py", "\napp.include_router(reported.router)\n")
    with EmbeddedAws(ManualClock()) as aws:
        deploy, image = DeployTool(project, aws), push_image(project, aws)
        first = deploy("--image", image)
        assert first.code == 0, first.err
        aws.client("lambda").create_function(
            FunctionName="plain",
            PackageType="Image",
            Code={"ImageUri": image},
            ImageConfig={"Command": ["app.reported.plain"]},
            Role=f"arn:aws:iam::{aws.account}:role/{NAME}",
            Architectures=["arm64"],
            MemorySize=512,
            Timeout=30,
        )
        aws.clock.advance(10)
        yield Scene(aws, project, deploy, first.url)


def test_serverless_express_144_errors_never_see_a_500(on: Scene) -> None:
    """CodeGenieApp/serverless-express#144: the adapter answers for the exception, so the invocation succeeds."""
    on.next_period()
    assert not on.aws.alarm_fires(f"{NAME}-5xx")
    with pytest.raises(urllib.error.HTTPError) as caught:
        on.get("broken")
    assert caught.value.code == 500
    assert "request_id" in caught.value.read().decode()
    assert on.invoke("plain", event("/broken"))["statusCode"] == 500

    assert not on.aws.alarm_fires(f"{NAME}-errors")
    assert on.aws.alarm_fires(f"{NAME}-5xx")
    assert on.deploy("logs", "--errors").out.count("RuntimeError: out of cheese") == 1


@behind("function_url")
def test_stac_fastapi_493_mangum_starts_the_application_for_every_request(on: Scene) -> None:
    """stac-utils/stac-fastapi#493: so each connects to the database anew. Ours starts once."""
    starts = [int(on.invoke("plain", event("/starts"))["body"]) for _ in range(3)]
    assert starts == [starts[0], starts[0] + 1, starts[0] + 2]
    assert [on.get("starts") for _ in range(3)] == [1, 1, 1]
    assert len(on.aws.environments(NAME)) == 1


@behind("function_url")
def test_fastapi_1233_background_tasks_hold_up_the_response(on: Scene) -> None:
    """fastapi/fastapi#1233: Lambda ends an invocation with its answer, so Mangum awaits them. The README says so."""
    began = time.monotonic()
    assert on.invoke("plain", event("/later"))["body"] == '"at once"'
    plain = time.monotonic()
    assert on.get("later") == "at once"
    assert (plain - began > 0.5, time.monotonic() - plain > 0.5) == (True, True)
    told = "*Background tasks delay the response*: on Lambda, the response waits for them."
    assert told in (on.project.path / "README.md").read_text("utf-8")


@behind("http_api")
def test_mangum_142_a_named_stage_breaks_paths_and_docs(on: Scene) -> None:
    """Kludex/mangum#142: its name stays in the path, and /docs asks for /openapi.json outside of it."""
    gateway = on.aws.client("apigatewayv2")
    (api,) = gateway.get_apis()["Items"]
    gateway.create_stage(ApiId=api["ApiId"], StageName="prod", AutoDeploy=True)
    with pytest.raises(urllib.error.HTTPError, match="404"):
        on.get("prod/health")
    gateway.delete_stage(ApiId=api["ApiId"], StageName="prod")

    assert on.get("health") == {"status": "healthy"}
    with urllib.request.urlopen(on.url + "docs", timeout=30) as docs:
        assert "url: '/openapi.json'" in docs.read().decode()
    assert "/health" in on.get("openapi.json")["paths"]


@behind("function_url")
@pytest.mark.parametrize("media_type", ["application/problem+json", "image/svg+xml"])
def test_serverless_wsgi_74_text_of_an_unknown_type_travels_as_base64(on: Scene, media_type: str) -> None:
    """logandk/serverless-wsgi#74: a third longer, of 6 MB. Ours knows all types that end in +json and +xml."""
    asked = event("/typed", f"media_type={media_type.replace('+', '%2B')}")
    plain, ours = on.invoke("plain", asked), on.invoke(f"{NAME}:live", asked)
    assert (plain["body"], plain["isBase64Encoded"]) == ("w7w=", True)
    assert (ours["body"], ours["isBase64Encoded"]) == ("ü", False)


@behind("function_url")
def test_an_event_that_is_no_request_makes_mangum_raise(on: Scene) -> None:
    """Such as a scheduled one. The invocation fails, which `Errors` does see; the environment lives on."""
    on.next_period()
    told = {"plain": "unable to infer a handler", f"{NAME}:live": "not an HTTP request in payload format 2.0"}
    for function, match in told.items():
        with pytest.raises(AssertionError, match=match):
            on.invoke(function, {"source": "aws.events", "detail-type": "Scheduled Event"})
    assert on.aws.alarm_fires(f"{NAME}-errors")
    assert on.get("health") == {"status": "healthy"}
    assert len(on.aws.environments(NAME)) == 1
