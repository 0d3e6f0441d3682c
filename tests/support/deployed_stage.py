"""A stage of a service on an embedded AWS of its own, with images to deploy, for tests of the deploy tool."""

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

# The handler of an image, a pattern of str.format.
SERVICE = """
def handler(event, context):
    return {{"statusCode": 200, "headers": {{"content-type": "application/json"}}, "body": "{body}"}}
"""
MIGRATIONS = """
def handler(event, context):
    return {"from": "0001", "to": "0001", "output": ""}
"""
# The jobs function. It has the jobs nightly and hourly, and finishes every job without doing anything.
JOBS = """
KNOWN = ["hourly", "nightly"]
def handler(event, context):
    if "check" in event:
        return {"jobs": KNOWN, "unknown": [name for name in event["check"] if name not in KNOWN], "need_arguments": []}
    return {"batchItemFailures": []}
"""
IMAGES = ("old", "new", "other")
NAME = "my-api-prod"
FUNCTION_SETTINGS = ("MemorySize", "Timeout", "Role", "LoggingConfig", "Environment")


class DeployedStage:
    """The stage prod of a project on an embedded AWS whose clock only advances when the deploy tool waits.

    `images` contains the URIs of three images, "old", "new" and "other", that respond to every request with their name.
    `calls` contains the operations of the last run of the deploy tool, and `mutations` those that change something.
    """

    def __init__(self, aws: EmbeddedAws, project: Project, roots: Path) -> None:
        self.aws = aws
        self.project = project
        self.calls: list[str] = []
        self.mutations: list[str] = []
        self._deploy = DeployTool(project, aws)
        self._roots = roots
        self.images = {body: self.push(body) for body in IMAGES}
        if project.answers.get("migrations") == "alembic":
            assert self.deploy("secret", "set", "DATABASE_URL", typed="postgresql://nowhere").code == 0

    def push(self, name: str, service: str = "", migrations: str = MIGRATIONS) -> str:
        """Push an image with the source of these handlers, and return its URI.

        Without `service`, the image responds with its name.
        """
        return self.aws.push_image("built-elsewhere", task_root(self._roots, name, service, migrations), tag=name)

    def deploy(self, *arguments: str, typed: str | bytes = "") -> Run:
        """Run ./deploy.sh with these arguments, with `typed` as its standard input."""
        before = len(self.aws.calls)
        run = self._deploy(*arguments, typed=typed)
        calls = [call for call in self.aws.calls[before:] if call.caller == DEPLOYER]
        self.calls = [call.operation for call in calls]
        self.mutations = [call.operation for call in calls if call.mutating and call.operation != "Invoke"]
        return run

    def release(self, body: str) -> Run:
        """Deploy the image with this name."""
        return self.deploy("--image", self.images[body])

    def configure(self, *lines: str) -> None:
        """Add lines to the top of deploy.toml. Each line replaces the one that sets the same key."""
        file = self.project.path / "deploy.toml"
        existing = file.read_text("utf-8").splitlines()
        for line in lines:
            existing = [line, *(other for other in existing if other.split("=")[0] != line.split("=")[0])]
        file.write_text("\n".join(existing), "utf-8")

    def invoke(self, event: dict[str, Any]) -> Any:
        """Invoke the live version, and return its result or Lambda's description of the error."""
        response = self.aws.client("lambda").invoke(FunctionName=NAME, Qualifier="live", Payload=json.dumps(event))
        return json.load(response["Payload"])

    def split_traffic(self, version: str) -> None:
        """Route half of the requests to another version than the live one, as a user can do by hand."""
        weights = {"AdditionalVersionWeights": {version: 0.5}}
        self.aws.client("lambda").update_alias(FunctionName=NAME, Name="live", RoutingConfig=weights)

    def live_version(self) -> str:
        """Return the number of the version to which the alias `live` points."""
        return str(self.aws.client("lambda").get_alias(FunctionName=NAME, Name="live")["FunctionVersion"])

    def url(self) -> str:
        """Return the public URL that AWS reports, or "" if there is none."""
        functions = self.aws.client("lambda")
        names = [function["FunctionName"] for function in functions.list_functions()["Functions"]]
        configs = [functions.list_function_url_configs(FunctionName=name)["FunctionUrlConfigs"] for name in names]
        urls = [config["FunctionUrl"] for config in itertools.chain(*configs)]
        apis = self.aws.client("apigatewayv2").get_apis()["Items"]
        return str(next(iter([*urls, *(api["ApiEndpoint"] for api in apis)]), ""))

    def get(self, url: str = "") -> str:
        """Request the public URL and return the body of the response. Raise HTTPError if the request fails."""
        with urllib.request.urlopen(url or self.url(), timeout=30) as response:
            return str(response.read().decode())

    def state(self) -> str:
        """Describe all resources as JSON, without what differs between runs, such as version numbers."""
        functions, iam, logs = self.aws.client("lambda"), self.aws.client("iam"), self.aws.client("logs")
        live = functions.get_function(FunctionName=NAME, Qualifier="live")
        configuration = live["Configuration"]
        policy = functions.get_policy(FunctionName=NAME, Qualifier="live")["Policy"]
        log_groups = logs.describe_log_groups()["logGroups"]
        alarms = self.aws.client("cloudwatch").describe_alarms()["MetricAlarms"]
        state = {
            "functions": [function["FunctionName"] for function in functions.list_functions()["Functions"]],
            "image": live["Code"]["ImageUri"],
            "settings": {key: configuration[key] for key in FUNCTION_SETTINGS},
            "snapstart": configuration["SnapStart"]["ApplyOn"],
            "provisioned": self.provisioned_concurrency(configuration["Version"]),
            "urls": self._function_urls(),
            "apis": [self._http_api(api["ApiId"]) for api in self.aws.client("apigatewayv2").get_apis()["Items"]],
            "statements": json.loads(policy)["Statement"],
            "alarms": [alarm["AlarmName"] for alarm in alarms],
            "log groups": [(group["logGroupName"], group["retentionInDays"]) for group in log_groups],
            "policy": iam.get_role_policy(RoleName=NAME, PolicyName="service")["PolicyDocument"],
        }
        ordered = {key: sorted(part, key=str) if isinstance(part, list) else part for key, part in state.items()}
        text = re.sub(r"(execute-api:us-east-1:\d+:)\w+/", r"\1API/", json.dumps(ordered, indent=1))
        return re.sub(r"(\"SECRETS_CHANGED\": )\"\w+\"", r"\1...", text)

    def provisioned_concurrency(self, live_version: str) -> list[tuple[bool, int]]:
        """Return for each version with provisioned concurrency if it is live, and its number of environments."""
        configs = self.aws.client("lambda").list_provisioned_concurrency_configs(FunctionName=NAME)
        return [
            (
                config["FunctionArn"].endswith(f":{live_version}"),
                config["RequestedProvisionedConcurrentExecutions"],
            )
            for config in configs["ProvisionedConcurrencyConfigs"]
        ]

    def _function_urls(self) -> list[dict[str, str]]:
        configs = self.aws.client("lambda").list_function_url_configs(FunctionName=NAME)["FunctionUrlConfigs"]
        return [{key: config[key] for key in ("AuthType", "FunctionArn")} for config in configs]

    def _http_api(self, api_id: str) -> dict[str, Any]:
        gateway = self.aws.client("apigatewayv2")
        routes = gateway.get_routes(ApiId=api_id)["Items"]
        integration_ids = [route["Target"].split("/")[1] for route in routes]
        integrations = [gateway.get_integration(ApiId=api_id, IntegrationId=id_) for id_ in integration_ids]
        settings = ("DefaultRouteSettings", "AccessLogSettings", "AutoDeploy")
        return {
            "routes": [route["RouteKey"] for route in routes],
            "integrations": [integration["IntegrationUri"] for integration in integrations],
            "stages": [{key: stage[key] for key in settings} for stage in gateway.get_stages(ApiId=api_id)["Items"]],
        }


def task_root(folder: Path, name: str, service: str = "", migrations: str = MIGRATIONS) -> Path:
    """Return the task root of an image with the source of these handlers, and create it on first use.

    Without `service`, the image responds with its name.
    """
    root = folder / name
    if not root.exists():
        write_handler(root, service or SERVICE.format(body=name))
        (root / "aws_lambda/migrate.py").write_text(migrations, encoding="utf-8")
        (root / "aws_lambda/job_handler.py").write_text(JOBS, encoding="utf-8")
    return root


@contextlib.contextmanager
def deployed_stage(
    bake: Bake, folder: Path, delays: Delays | None = None, /, **answers: str
) -> Iterator[DeployedStage]:
    """Start an embedded AWS for a project with these answers. `folder` keeps the images for the next stage."""
    with EmbeddedAws(ManualClock(), delays) as aws:
        yield DeployedStage(aws, bake(**answers), folder)


def copying_bake(bake: Bake, folder: Path) -> Bake:
    """Return a bake function whose projects are copies that a test can change."""
    return lambda **answers: bake(**answers).copy(folder / "project")


def run_before_change(monkeypatch: pytest.MonkeyPatch, number: int, then: Callable[[], object]) -> None:
    """Call `then` right before the `number`-th AWS call that changes something. Calls of `then` do not count."""
    run_around_change(monkeypatch, number, "before", then)


def interrupt_at_change(monkeypatch: pytest.MonkeyPatch, number: int, when: str) -> None:
    """Press Ctrl-C right "before" or right "after" the `number`-th AWS call that changes something."""

    def press_ctrl_c() -> None:
        raise KeyboardInterrupt

    run_around_change(monkeypatch, number, when, press_ctrl_c)


def run_around_change(monkeypatch: pytest.MonkeyPatch, number: int, when: str, then: Callable[[], object]) -> None:
    """Call `then` right "before" or right "after" the `number`-th AWS call that changes something."""
    make_api_call = BaseClient._make_api_call  # type: ignore[attr-defined]
    changes = itertools.count(1)
    reached = False

    def make_watched_call(self: BaseClient, operation: str, parameters: Any) -> Any:
        nonlocal reached
        is_selected = not reached and not operation.startswith(READS) and next(changes) == number
        reached = reached or is_selected
        if is_selected and when == "before":
            then()
        response = make_api_call(self, operation, parameters)
        if is_selected and when == "after":
            then()
        return response

    monkeypatch.setattr(BaseClient, "_make_api_call", make_watched_call)
