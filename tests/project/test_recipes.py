"""Follow each recipe of a generated project, check the result with its linters, and deploy it."""

import base64
import hashlib
import hmac
import json
import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from embedded_aws import Delays, EmbeddedAws
from scripts.projects import CHOICES, COMBINATIONS, MANIFEST, Answers, Project, combination_name
from tests.support.bake import Bake
from tests.support.deploy_tool import DeployTool, database_for, push_image, remaining_resources
from tests.support.deployed_stage import NAME
from tests.support.recipes import follow, recipes

MOVE_IN = "Move an existing FastAPI service into this project"
BUCKET = f"{NAME}-123456789012"
KEY = b"a key of the sender and of its receiver"
AT = "2026-11-23T03:00:00Z"
FLOWER = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}
SHOP = {
    "shop/__init__.py": "",
    "shop/settings.py": """from functools import lru_cache

from pydantic_settings import BaseSettings


class Settings(BaseSettings):
    page_size: int = 3


@lru_cache
def get_settings() -> Settings:
    return Settings()
""",
    "shop/main.py": '''"""A service from before."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.staticfiles import StaticFiles

from shop.settings import get_settings


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, int]]:
    app.state.starts = getattr(app.state, "starts", 0) + 1
    yield {"opened": 7}


app = FastAPI(title="Shop", lifespan=lifespan)
app.mount("/static", StaticFiles(directory=Path(__file__).with_name("static")))


@app.get("/")
async def start(request: Request) -> dict[str, int]:
    return {"starts": request.app.state.starts, "opened": request.state.opened, "page_size": get_settings().page_size}


@app.get("/broken")
async def broken() -> None:
    raise KeyError("colour")
''',
}
PICTURE = bytes(range(256)) * 40
# Call the handler of the recipe with jobs that use the event loop of the lifespan, another one, or fail.
RUN_JOBS = """
import asyncio
from contextlib import suppress

from app import jobs
from aws_lambda import handler as module, job_handler
from tests.helpers import create_client

flushed = []
job_handler.flush_traces = lambda: flushed.append(len(flushed))

def use_the_loop():
    assert asyncio.get_event_loop() is module.lifespan.loop
    assert asyncio.get_event_loop().run_until_complete(asyncio.sleep(0, 7)) == 7

def run_another_loop():
    asyncio.run(asyncio.sleep(0))

def fail():
    raise ZeroDivisionError

jobs.JOBS.update(use_the_loop=use_the_loop, run_another_loop=run_another_loop, fail=fail)
for job in ("use_the_loop", "run_another_loop", "use_the_loop", "run_another_loop"):
    assert module.handler({"job": job}, None) == {}
    assert create_client(module.handler).get("/").json() == {"ok": True}
with suppress(ZeroDivisionError):
    module.handler({"job": "fail"}, None)
    raise AssertionError("Lambda must know that the job has failed")
assert flushed == [0, 1, 2, 3, 4]
"""
FIRST = {option: CHOICES[option][0] for option in MANIFEST}
LARGEST = {option: CHOICES[option][-1] for option in MANIFEST}
DEPLOYED = COMBINATIONS if os.environ.get("EVERY_RECIPE") else [FIRST, LARGEST]


def files_of(project: Project, folder: Path) -> Project:
    """A copy of what was baked, with the .venv that is lent to it."""
    for name in project.files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(project.path / name, folder / name)
    (folder / ".venv").symlink_to(project.path / ".venv")
    return Project(folder, project.answers, project.files)


def with_the_shop(project: Project) -> None:
    for name, text in SHOP.items():
        (project.path / name).parent.mkdir(exist_ok=True)
        (project.path / name).write_text(text, "utf-8")
    (project.path / "shop/static").mkdir()
    (project.path / "shop/static/picture.png").write_bytes(PICTURE)


def with_every_recipe(project: Project) -> Project:
    """Follow all recipes except the one that replaces the application."""
    for heading, steps in recipes(project).items():
        if heading != MOVE_IN:
            follow(project, steps)
    return project


def with_the_shop_moved_in(project: Project) -> Project:
    with_the_shop(project)
    if (project.path / "app/tables.py").exists():  # the service has the tables of the sample, and so its migration
        shutil.copy(project.path / "app/tables.py", project.path / "shop/tables.py")
    for folder in ("app", "tests/app"):
        shutil.rmtree(project.path / folder)
    follow(project, recipes(project)[MOVE_IN])
    project.edit("deploy.toml", "[environment]", '[environment]\nPAGE_SIZE = "50"\n#')
    return project


@pytest.mark.parametrize("answers", COMBINATIONS, ids=combination_name)
def test_all_together_are_clean(bake: Bake, tmp_path: Path, answers: Answers) -> None:
    project = with_every_recipe(files_of(bake(**answers), tmp_path / "my-api"))
    for check in ("ruff check", "ruff format --check"):
        project.run(check)


@pytest.mark.parametrize("answers", [FIRST, LARGEST], ids=combination_name)
def test_each_alone_is_clean(bake: Bake, tmp_path: Path, answers: Answers) -> None:
    every = recipes(bake(**answers))
    assert len(every) == 6
    for number, (heading, steps) in enumerate(every.items()):
        project = files_of(bake(**answers), tmp_path / str(number))
        if heading == "Continue work after the response":  # it builds on another recipe
            handler = ("app/jobs.py", "aws_lambda/job_handler.py", "aws_lambda/handler.py")
            follow(project, [step for step in every["Run a job on a schedule"] if step.file in handler])
        if heading == MOVE_IN:
            with_the_shop_moved_in(project)
        else:
            follow(project, steps)
        project.run("ruff check")
        project.run("ruff format --check")


@dataclass
class Live:
    """A service with every recipe, deployed."""

    aws: EmbeddedAws
    project: Project
    deploy: DeployTool
    url: str
    image: str

    def ask(self, path: str, body: bytes | None = None, method: str | None = None, **headers: str) -> tuple[int, bytes]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named = {"content-type": "application/json", **named}
        request = urllib.request.Request(self.url + path, body, named, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def wrote(self, text: str, times: int = 1) -> list[dict[str, Any]]:
        """The log records with this in their message, once there are so many."""
        for _ in range(250):
            lines = [line for line in self.aws.log_messages(f"/aws/lambda/{NAME}") if text in line]
            if len(lines) >= times:
                return [json.loads(line) for line in lines]
            time.sleep(0.02)
        raise AssertionError(f"{text!r} is not in the logs {times} times: {lines}")

    def later(self, event: dict[str, Any]) -> None:
        """Invoke the function without waiting for its result."""
        invoke = self.aws.client("lambda").invoke
        answer = invoke(FunctionName=NAME, Qualifier="live", InvocationType="Event", Payload=json.dumps(event))
        assert answer["StatusCode"] == 202


@contextmanager
def live(project: Project, **secrets: str) -> Iterator[Live]:
    with EmbeddedAws(delays=Delays(async_retry_s=0.05)) as aws, database_for(project, aws):
        deploy, image = DeployTool(project, aws), push_image(project, aws)
        for name, value in secrets.items():
            assert deploy("secret", "set", name, typed=value).code == 0
        deployed = deploy("--image", image)
        assert deployed.code == 0, deployed.err
        yield Live(aws, project, deploy, deployed.url, image)
        gone = deploy("destroy", typed=f"{NAME}\n")
        assert gone.out.endswith("\n0 left\n"), gone.err
        assert remaining_resources(aws) == []
        assert aws.client("scheduler").list_schedules()["Schedules"] == []
        assert aws.client("s3").list_buckets()["Buckets"] == []


def signature(identity: str, timestamp: str, body: bytes, key: bytes = KEY) -> str:
    """Return the signature that a sender creates, see https://www.standardwebhooks.com."""
    content = identity.encode() + b"." + timestamp.encode() + b"." + body
    return "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()


def webhook(live: Live) -> None:
    body = '{"type":  "order.paid", "name": "Zoë"}'.encode()
    now, old, ahead = (str(int(time.time()) + shift) for shift in (0, -301, 420))  # the deploy takes some time

    def receive(timestamp: str, value: str, sent: bytes = body, identity: str = "msg_1") -> int:
        headers = {"webhook_id": identity, "webhook_timestamp": timestamp, "webhook_signature": value}
        return live.ask("webhook", sent, **headers)[0]

    right = signature("msg_1", now, body)
    assert receive(now, right) == 204
    assert live.wrote("webhook msg_1: order.paid")
    assert receive(now, f"v1,AAAA {right} v1a,BBBB") == 204
    assert receive(now, right, body + b" ") == 401
    assert receive(now, right, identity="msg_2") == 401
    assert receive(now, signature("msg_1", now, body, b"another key")) == 401
    for value in ("v1,", right[3:], right[:-1], "ä"):
        assert receive(now, value) == 401
    for timestamp in (old, ahead, "-1", "now", "²"):
        assert receive(timestamp, signature("msg_1", timestamp, body)) == 401
    assert live.ask("webhook", body)[0] == 422


def schedule(live: Live) -> None:
    assert live.aws.run_schedule(NAME, AT) == {"StatusCode": 202}
    assert live.wrote(f"nightly job of {AT}")
    before = len(live.aws.calls)
    assert "Nothing to deploy: " in live.deploy("--image", live.image).out
    assert [call.operation for call in live.aws.calls[before:] if call.mutating and call.operation != "Invoke"] == []
    scheduler = live.aws.client("scheduler")
    existing = scheduler.get_schedule(Name=NAME)
    kept = {key: existing[key] for key in ("Name", "FlexibleTimeWindow", "Target")}
    scheduler.update_schedule(**kept, ScheduleExpression="rate(1 day)")
    plan = live.deploy("plan", "--image", live.image).out
    assert "~ schedule my-api-prod\n    ScheduleExpression: rate(1 day) → cron(0 3 * * ? *)" in plan
    assert live.deploy("--image", live.image).code == 0
    assert "Nothing to change." in live.deploy("plan", "--image", live.image).out


def nobody_starts_a_job_by_the_url(live: Live) -> None:
    event = {"job": "nightly", "scheduled_at": "not by you"}
    assert live.ask("?job=nightly", json.dumps(event).encode(), job="nightly")[0] == 405
    assert not [line for line in live.aws.log_messages(f"/aws/lambda/{NAME}") if "not by you" in line]


def a_job_that_fails_is_repeated_and_sets_off_the_alarm(live: Live) -> None:
    assert not live.aws.alarm_fires(f"{NAME}-errors")
    live.later({"job": "nightly", "wrong": True})
    failures = live.wrote("unexpected keyword argument 'wrong'", 3)
    assert len({failure["requestId"] for failure in failures}) == 1
    assert live.aws.alarm_fires(f"{NAME}-errors")


def work_after_the_response(live: Live) -> None:
    status, body = live.ask("orders", b'{"email": "ada@example.com"}')
    order = json.loads(body)["order_id"]
    assert status == 202
    (receipt,) = live.wrote(f"receipt for order {order}")
    calls = [call for call in live.aws.calls if call.operation == "Invoke" and call.caller.endswith(NAME)]
    assert [(call.params["InvocationType"], call.status) for call in calls] == [("Event", 202)]
    live.later({"job": "send_receipt", "order_id": order, "email": "ada@example.com"})
    again = live.wrote(f"receipt for order {order}", 2)[1]
    assert receipt["requestId"] != again["requestId"]
    assert live.ask("orders", json.dumps({"email": "x" * 2**20}).encode())[0] == 500
    assert live.wrote("RequestTooLargeException")


def without_its_statement_it_may_not(live: Live) -> None:
    iam = live.aws.client("iam")
    kept = iam.get_role_policy(RoleName=NAME, PolicyName="service")["PolicyDocument"]
    fewer = [one for one in kept["Statement"] if one["Action"] != ["lambda:InvokeFunction"]]
    assert len(fewer) == len(kept["Statement"]) - 1
    try:
        iam.put_role_policy(
            RoleName=NAME, PolicyName="service", PolicyDocument=json.dumps({**kept, "Statement": fewer})
        )
        assert live.ask("orders", b'{"email": "eve@example.com"}')[0] == 500
        assert live.wrote("is not authorized to perform: lambda:InvokeFunction")
    finally:
        iam.put_role_policy(RoleName=NAME, PolicyName="service", PolicyDocument=json.dumps(kept))


def a_bucket(live: Live) -> None:
    """`plan`, `cost`, `status` and the service know the bucket; `live` checks that `destroy` deletes it."""
    assert live.ask("files/note.txt")[0] == 404
    assert live.ask("files/note.txt", PICTURE, "PUT", content_type="application/octet-stream")[0] == 204
    assert live.ask("files/note.txt") == (200, PICTURE)
    s3 = live.aws.client("s3")
    assert [item["Key"] for item in s3.list_objects_v2(Bucket=BUCKET)["Contents"]] == ["note.txt"]
    assert BUCKET in live.deploy("status").out
    assert "10 GB in the bucket" in live.deploy("cost").out
    s3.delete_public_access_block(Bucket=BUCKET)
    plan = live.deploy("plan", "--image", live.image).out
    assert f"~ S3 bucket {BUCKET}\n    PublicAccessBlockConfiguration" in plan
    assert live.deploy("--image", live.image).code == 0
    assert all(s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"].values())


def model(live: Live) -> None:
    status, body = live.ask("predict/batch", json.dumps([FLOWER] * 3).encode())
    assert (status, {one["species"] for one in json.loads(body)}) == (200, {"setosa"})
    assert live.ask("predict/batch", b"[]")[0] == 422
    function = live.aws.client("lambda").get_function_configuration(FunctionName=NAME, Qualifier="live")
    assert function["MemorySize"] == 1769


def a_service_that_moved_in(live: Live) -> None:
    for _ in range(2):
        assert json.loads(live.ask("")[1]) == {"starts": 1, "opened": 7, "page_size": 50}
    assert live.ask("static/picture.png") == (200, PICTURE)
    assert live.ask("health")[0] == 404
    status, body = live.ask("broken")
    assert (status, json.loads(body)["detail"]) == (500, "Internal Server Error")
    assert json.loads(live.ask("openapi.json")[1])["info"]["title"] == "Shop"


@pytest.mark.parametrize("answers", DEPLOYED, ids=combination_name)
def test_they_do_what_they_say(bake: Bake, tmp_path: Path, answers: Answers) -> None:
    project = with_every_recipe(files_of(bake(**answers), tmp_path / "my-api"))
    with live(project, WEBHOOK_SECRET="whsec_" + base64.b64encode(KEY).decode()) as service:
        webhook(service)
        schedule(service)
        nobody_starts_a_job_by_the_url(service)
        a_job_that_fails_is_repeated_and_sets_off_the_alarm(service)
        work_after_the_response(service)
        without_its_statement_it_may_not(service)
        a_bucket(service)
        model(service)


@pytest.mark.parametrize("answers", DEPLOYED, ids=combination_name)
def test_a_service_that_moved_in_is_deployed(bake: Bake, tmp_path: Path, answers: Answers) -> None:
    with live(with_the_shop_moved_in(files_of(bake(**answers), tmp_path / "my-api"))) as service:
        a_service_that_moved_in(service)


@pytest.mark.parametrize("answers", [FIRST, LARGEST], ids=combination_name)
def test_the_projects_own_tests_pass_after_moving_in(bake: Bake, tmp_path: Path, answers: Answers) -> None:
    project = with_the_shop_moved_in(files_of(bake(**answers), tmp_path / "my-api"))
    project.run("pytest -q")
    project.run("mypy")


@pytest.mark.parametrize("answers", [FIRST, LARGEST], ids=combination_name)
def test_the_projects_own_tests_pass_with_every_recipe(bake: Bake, tmp_path: Path, answers: Answers) -> None:
    with_every_recipe(files_of(bake(**answers), tmp_path / "my-api")).run("pytest -q")


def test_jobs_use_the_event_loop_of_the_lifespan_and_flush_traces(bake: Bake, tmp_path: Path) -> None:
    project = with_every_recipe(files_of(bake(), tmp_path / "my-api"))
    project.run(["python", "-c", RUN_JOBS], env={"WEBHOOK_SECRET": "whsec_"})


def test_they_are_typed(bake: Bake, tmp_path: Path) -> None:
    project = with_every_recipe(files_of(bake(**LARGEST), tmp_path / "my-api"))
    project.run("mypy --strict app aws_lambda deploy")


@pytest.mark.parametrize("answers", [FIRST, LARGEST], ids=combination_name)
def test_the_github_roles_handle_the_bucket(bake: Bake, tmp_path: Path, answers: Answers) -> None:
    project = files_of(bake(**answers), tmp_path / "my-api")
    follow(project, recipes(project)["Add an AWS resource: an S3 bucket"])
    with EmbeddedAws() as aws:
        assert DeployTool(project, aws)("github", "owner/repo").code == 0
        roles = ("my-api.github", "my-api.github.previews")
        policies = [json.dumps(policies_of(aws, role)) for role in roles]
    assert ["s3:CreateBucket" in policy for policy in policies] == [True, True]
    assert ["s3:DeleteBucket" in policy for policy in policies] == [False, True]


def policies_of(aws: EmbeddedAws, role: str) -> list[dict[str, Any]]:
    """Return all policy documents of a role, also those that are attached to it."""
    iam = aws.client("iam")
    inline = [
        iam.get_role_policy(RoleName=role, PolicyName=name)
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]
    ]
    attached = iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    versions = [
        iam.get_policy_version(
            PolicyArn=one["PolicyArn"],
            VersionId=iam.get_policy(PolicyArn=one["PolicyArn"])["Policy"]["DefaultVersionId"],
        )
        for one in attached
    ]
    return [policy["PolicyDocument"] for policy in inline] + [
        version["PolicyVersion"]["Document"] for version in versions
    ]
