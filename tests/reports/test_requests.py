"""Test reported problems with FastAPI and Mangum on Lambda.

Each test is named after the report. `app/reported.py` adds the same routes to the service and to a second function,
which uses `Mangum(app)` as in Mangum's documentation. The test reproduces the problem with the second function, and
shows that the service handles it.
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
    return "accepted"


@router.get("/typed")
async def typed(media_type: str) -> Response:
    return Response("ü", media_type=media_type)


app = FastAPI(lifespan=lifespan)
app.include_router(router)
plain = Mangum(app)
"""


class ServiceWithMangum(DeployedService):
    """The deployed service, and the function `plain` with the same routes behind Mangum."""

    def invoke(self, function: str, event: dict[str, Any]) -> Any:
        """Invoke the function and return its result. Raise AssertionError if the invocation fails."""
        response = self.aws.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event))
        result = json.loads(response["Payload"].read())
        assert "FunctionError" not in response, result
        return result

    def start_alarm_period(self) -> None:
        """Advance the clock so that alarms ignore all earlier requests."""
        self.aws.clock.advance(300)

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=30) as response:
            return json.load(response)


def event(path: str, query: str = "") -> dict[str, Any]:
    http = {"method": "GET", "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "test"}
    context = {"http": http, "stage": "$default", "requestId": "1", "domainName": "test"}
    headers = {"host": "test"}
    request = {"rawPath": path, "rawQueryString": query, "headers": headers, "requestContext": context}
    return {"version": "2.0", "routeKey": "$default", "isBase64Encoded": False} | request


def only_endpoint(endpoint: str) -> pytest.MarkDecorator:
    """Run the test with one endpoint only."""
    return pytest.mark.parametrize("service", [endpoint], indirect=True)


@pytest.fixture(scope="module", params=CHOICES["endpoint"])
def service(
    bake: Bake, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[ServiceWithMangum]:
    project = bake(endpoint=request.param).copy(tmp_path_factory.mktemp("reported"))
    (project.path / "app/reported.py").write_text(REPORTED, encoding="utf-8")
    project.edit("app/main.py", "from app.routers", "from app import reported\nfrom app.routers")
    project.edit("app/main.py", "app = FastAPI(\n", "app = FastAPI(\n    lifespan=reported.lifespan,\n")
    append(project, "app/main.py", "\napp.include_router(reported.router)\n")
    with EmbeddedAws(ManualClock()) as aws:
        deploy, image = DeployTool(project, aws), push_image(project, aws)
        run = deploy("--image", image)
        assert run.code == 0, run.err
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
        yield ServiceWithMangum(aws, project, deploy, run.url)


def test_serverless_express_144_the_errors_metric_does_not_count_500_responses(service: ServiceWithMangum) -> None:
    """CodeGenieApp/serverless-express#144: the adapter handles the exception, so the invocation succeeds.

    The alarm for 5xx responses reports them.
    """
    service.start_alarm_period()
    assert not service.aws.alarm_fires(f"{NAME}-5xx")
    with pytest.raises(urllib.error.HTTPError) as error:
        service.get("broken")
    assert error.value.code == 500
    assert "request_id" in error.value.read().decode()
    assert service.invoke("plain", event("/broken"))["statusCode"] == 500

    assert not service.aws.alarm_fires(f"{NAME}-errors")
    assert service.aws.alarm_fires(f"{NAME}-5xx")
    assert service.deploy("logs", "--errors").out.count("RuntimeError: out of cheese") == 1


@only_endpoint("function_url")
def test_stac_fastapi_493_mangum_starts_the_application_for_every_request(service: ServiceWithMangum) -> None:
    """stac-utils/stac-fastapi#493: each request connects to the database again. The service starts only once."""
    starts = [int(service.invoke("plain", event("/starts"))["body"]) for _ in range(3)]
    assert starts == [starts[0], starts[0] + 1, starts[0] + 2]
    assert [service.get("starts") for _ in range(3)] == [1, 1, 1]
    assert len(service.aws.environments(NAME)) == 1


@only_endpoint("function_url")
def test_fastapi_1233_background_tasks_delay_the_response(service: ServiceWithMangum) -> None:
    """fastapi/fastapi#1233: Lambda freezes the environment after the response, so background tasks must run before it.

    The README of the project documents it.
    """
    started = time.monotonic()
    assert service.invoke("plain", event("/later"))["body"] == '"accepted"'
    plain_ended = time.monotonic()
    assert service.get("later") == "accepted"
    assert plain_ended - started > 0.5
    assert time.monotonic() - plain_ended > 0.5
    limitation = "*Background tasks delay the response*: use [a job](#background-jobs)."
    assert limitation in (service.project.path / "README.md").read_text("utf-8")


@only_endpoint("http_api")
def test_mangum_142_a_named_stage_breaks_paths_and_docs(service: ServiceWithMangum) -> None:
    """Kludex/mangum#142: the path contains its name, and /docs requests /openapi.json without it.

    The HTTP API of the project has only the stage $default.
    """
    gateway = service.aws.client("apigatewayv2")
    (api,) = gateway.get_apis()["Items"]
    gateway.create_stage(ApiId=api["ApiId"], StageName="prod", AutoDeploy=True)
    with pytest.raises(urllib.error.HTTPError, match="404"):
        service.get("prod/health")
    gateway.delete_stage(ApiId=api["ApiId"], StageName="prod")

    assert service.get("health") == {"status": "healthy"}
    with urllib.request.urlopen(service.url + "docs", timeout=30) as docs:
        assert "url: '/openapi.json'" in docs.read().decode()
    assert "/health" in service.get("openapi.json")["paths"]


@only_endpoint("function_url")
@pytest.mark.parametrize("media_type", ["application/problem+json", "image/svg+xml"])
def test_serverless_wsgi_74_text_of_an_unknown_type_is_sent_as_base64(
    service: ServiceWithMangum, media_type: str
) -> None:
    """logandk/serverless-wsgi#74: base64 is a third longer, and Lambda limits the response to 6 MB.

    The service sends all types that end in +json and +xml as text.
    """
    request = event("/typed", f"media_type={media_type.replace('+', '%2B')}")
    plain, live = service.invoke("plain", request), service.invoke(f"{NAME}:live", request)
    assert (plain["body"], plain["isBase64Encoded"]) == ("w7w=", True)
    assert (live["body"], live["isBase64Encoded"]) == ("ü", False)


@only_endpoint("function_url")
def test_other_events_fail_without_ending_the_environment(service: ServiceWithMangum) -> None:
    """A scheduled event fails, and the metric Errors counts it. The environment handles later requests."""
    service.start_alarm_period()
    messages = {"plain": "unable to infer a handler", f"{NAME}:live": "not an HTTP request in payload format 2.0"}
    for function, match in messages.items():
        with pytest.raises(AssertionError, match=match):
            service.invoke(function, {"source": "aws.events", "detail-type": "Scheduled Event"})
    assert service.aws.alarm_fires(f"{NAME}-errors")
    assert service.get("health") == {"status": "healthy"}
    assert len(service.aws.environments(NAME)) == 1
