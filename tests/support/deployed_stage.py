"""A deploy tool on a fresh embedded AWS, with images to deploy that answer with their name: for tests of the deploy."""

import contextlib
import itertools
import json
import re
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.client import BaseClient

from embedded_aws import Delays, EmbeddedAws, ManualClock
from embedded_aws.calls import DEPLOYER, READS
from scripts.deploy_tool import Run
from scripts.project_changes import write_handler
from scripts.projects import Project
from tests.support.bake import Bake
from tests.support.deploy_tool import DeployTool

SERVICE = """
def handler(event, context):
    return {{"statusCode": 200, "headers": {{"content-type": "application/json"}}, "body": "{body}"}}
"""
MIGRATIONS = """
def handler(event, context):
    return {"from": "0001", "to": "0001", "output": ""}
"""
IMAGES = ("old", "new", "other")
NAME = "my-api-prod"
SETTINGS = ("MemorySize", "Timeout", "Role", "LoggingConfig", "Environment")


class DeployedStage:
    """The embedded AWS, on a clock that stands still until something waits, and the deploy tool in this process."""

    def __init__(self, aws: EmbeddedAws, project: Project, roots: Path) -> None:
        self.aws = aws
        self.project = project
        self.calls: list[str] = []  # the operations of the last run
        self.mutations: list[str] = []  # those of them that change something
        self._deploy = DeployTool(project, aws)
        self._roots = roots
        self.images = {body: self.push(body) for body in IMAGES}
        if project.answers.get("migrations") == "alembic":
            assert self.deploy("secret", "set", "DATABASE_URL", typed="postgresql://nowhere").code == 0

    def push(self, name: str, service: str = "", migrations: str = MIGRATIONS) -> str:
        """The URI of an image of that name; without a `service` of its own it answers with its name."""
        return self.aws.push_image("built-elsewhere", task_root(self._roots, name, service, migrations), tag=name)

    def deploy(self, *arguments: str, typed: str | bytes = "") -> Run:
        before = len(self.aws.calls)
        run = self._deploy(*arguments, typed=typed)
        made = [call for call in self.aws.calls[before:] if call.caller == DEPLOYER]
        self.calls = [call.operation for call in made]
        self.mutations = [call.operation for call in made if call.mutating and call.operation != "Invoke"]
        return run

    def release(self, body: str) -> Run:
        return self.deploy("--image", self.images[body])

    def configure(self, *lines: str) -> None:
        """Puts these on top of deploy.toml, each in place of the one that sets the same key."""
        file = self.project.path / "deploy.toml"
        kept = file.read_text("utf-8").splitlines()
        for line in lines:
            kept = [line, *(other for other in kept if other.split("=")[0] != line.split("=")[0])]
        file.write_text("\n".join(kept), "utf-8")

    def invoke(self, event: dict[str, Any]) -> Any:
        """What the live version returns, or Lambda's description of the error."""
        answer = self.aws.client("lambda").invoke(FunctionName=NAME, Qualifier="live", Payload=json.dumps(event))
        return json.load(answer["Payload"])

    def live_version(self) -> str:
        return str(self.aws.client("lambda").get_alias(FunctionName=NAME, Name="live")["FunctionVersion"])

    def url(self) -> str:
        """The public URL, asked of AWS; empty when there is none."""
        functions = [one["FunctionName"] for one in self.aws.client("lambda").list_functions()["Functions"]]
        listed = self.aws.client("lambda").list_function_url_configs
        urls = [url["FunctionUrl"] for name in functions for url in listed(FunctionName=name)["FunctionUrlConfigs"]]
        apis = [api["ApiEndpoint"] for api in self.aws.client("apigatewayv2").get_apis()["Items"]]
        return str([*urls, *apis, ""][0])

    def get(self, url: str = "") -> str:
        """What a client of the public URL gets; raises HTTPError for anything but success."""
        with urllib.request.urlopen(url or self.url(), timeout=30) as answer:
            return str(answer.read().decode())

    def state(self) -> str:
        """What there is in AWS, without what differs from run to run, such as the numbers of versions."""
        client, live = self.aws.client, {"FunctionName": NAME, "Qualifier": "live"}
        function = client("lambda").get_function(**live)
        version, configuration = function["Configuration"]["Version"], function["Configuration"]
        provisioned = client("lambda").list_provisioned_concurrency_configs(FunctionName=NAME)
        state = {
            "functions": sorted(one["FunctionName"] for one in client("lambda").list_functions()["Functions"]),
            "image": function["Code"]["ImageUri"],
            "settings": [configuration[key] for key in SETTINGS],
            "snapstart": configuration["SnapStart"]["ApplyOn"],
            "provisioned": [
                (one["FunctionArn"].endswith(f":{version}"), one["RequestedProvisionedConcurrentExecutions"])
                for one in provisioned["ProvisionedConcurrencyConfigs"]
            ],
            "urls": [
                {key: url[key] for key in ("AuthType", "FunctionArn")}
                for url in client("lambda").list_function_url_configs(FunctionName=NAME)["FunctionUrlConfigs"]
            ],
            "apis": [self._api(api["ApiId"]) for api in client("apigatewayv2").get_apis()["Items"]],
            "statements": json.loads(client("lambda").get_policy(**live)["Policy"])["Statement"],
            "alarms": [one["AlarmName"] for one in client("cloudwatch").describe_alarms()["MetricAlarms"]],
            "log groups": [
                (group["logGroupName"], group["retentionInDays"])
                for group in client("logs").describe_log_groups()["logGroups"]
            ],
            "policy": client("iam").get_role_policy(RoleName=NAME, PolicyName="service")["PolicyDocument"],
        }
        ordered = {key: sorted(one, key=str) if isinstance(one, list) else one for key, one in state.items()}
        told = re.sub(r"(execute-api:us-east-1:\d+:)\w+/", r"\1API/", json.dumps(ordered, indent=1))
        return re.sub(r"(\"SECRETS_CHANGED\": )\"\w+\"", r"\1...", told)

    def _api(self, api: str) -> list[Any]:
        gateway = self.aws.client("apigatewayv2")
        routes, stages = gateway.get_routes(ApiId=api)["Items"], gateway.get_stages(ApiId=api)["Items"]
        integrations = [gateway.get_integration(ApiId=api, IntegrationId=r["Target"].split("/")[1]) for r in routes]
        settings = [
            (stage["DefaultRouteSettings"], stage["AccessLogSettings"], stage["AutoDeploy"]) for stage in stages
        ]
        return [[route["RouteKey"] for route in routes], [one["IntegrationUri"] for one in integrations], settings]


def task_root(folder: Path, name: str, service: str = "", migrations: str = MIGRATIONS) -> Path:
    """Of a service, which answers with its name when nothing else is given, and its migrations; made once."""
    root = folder / name
    if not root.exists():
        write_handler(root, service or SERVICE.format(body=name))
        (root / "aws_lambda/migrate.py").write_text(migrations, encoding="utf-8")
    return root


@contextlib.contextmanager
def deployed_stage(
    bake: Bake, folder: Path, delays: Delays | None = None, /, **answers: str
) -> Iterator[DeployedStage]:
    """With these answers; `folder` keeps the images from one scene to the next."""
    with EmbeddedAws(ManualClock(), delays) as aws:
        yield DeployedStage(aws, bake(**answers), folder)


def copying_bake(bake: Bake, folder: Path) -> Bake:
    """Bakes what a test may change."""
    return lambda **answers: bake(**answers).copy(folder / "project")


def run_before_change(monkeypatch: pytest.MonkeyPatch, number: int, then: Callable[[], object]) -> None:
    """Calls `then` right before the tool's `number`-th call that changes something; its own calls do not count."""
    run_around_change(monkeypatch, number, "before", then)


def interrupt_at_change(monkeypatch: pytest.MonkeyPatch, number: int, when: str) -> None:
    """Ctrl-C right before, or right after, the tool's `number`-th call that changes something."""

    def ctrl_c() -> None:
        raise KeyboardInterrupt

    run_around_change(monkeypatch, number, when, ctrl_c)


def run_around_change(monkeypatch: pytest.MonkeyPatch, number: int, when: str, then: Callable[[], object]) -> None:
    call = BaseClient._make_api_call  # type: ignore[attr-defined]
    changes, reached = itertools.count(1), list[bool]()

    def watched(self: BaseClient, operation: str, parameters: Any) -> Any:
        now = not reached and not operation.startswith(READS) and next(changes) == number
        if now:
            reached.append(True)
        if now and when == "before":
            then()
        answer = call(self, operation, parameters)
        if now and when == "after":
            then()
        return answer

    monkeypatch.setattr(BaseClient, "_make_api_call", watched)
