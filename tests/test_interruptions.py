"""Refused or interrupted anywhere: does what is live go on, and does the next run end as an undisturbed one?"""

import contextlib
import itertools
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.client import BaseClient

from tests.baking import CHOICES
from tests.conftest import Bake
from tests.deploying import InProcess, write_handler
from tests.embedded_aws import EmbeddedAws, ManualClock
from tests.embedded_aws.calls import READS

HANDLER = """
def handler(event, context):
    return {{"statusCode": 200, "headers": {{"content-type": "application/json"}}, "body": "{body}"}}
"""
RELEASES = ("old", "new")
IMAGES = (*RELEASES, "other")
SETTINGS = ("MemorySize", "Timeout", "Role", "LoggingConfig", "Environment")


class Scene:
    """A fresh embedded AWS with the deploy tool on it, and images to deploy."""

    def __init__(self, aws: EmbeddedAws, deploy: InProcess, roots: dict[str, Path]) -> None:
        self.aws = aws
        self.deploy = deploy
        self.images = {body: aws.push_image("built-elsewhere", root) for body, root in roots.items()}

    def release(self, body: str) -> Any:
        return self.deploy("--image", self.images[body])

    def answer(self) -> str:
        urls = self.aws.client("lambda").list_function_url_configs(FunctionName="my-api-prod")["FunctionUrlConfigs"]
        apis = self.aws.client("apigatewayv2").get_apis()["Items"]
        (url,) = [one.get("FunctionUrl") or one["ApiEndpoint"] for one in [*urls, *apis]]
        with urllib.request.urlopen(url, timeout=30) as answer:
            return str(answer.read().decode())

    def _api(self, api: str) -> list[Any]:
        gateway = self.aws.client("apigatewayv2")
        routes, stages = gateway.get_routes(ApiId=api)["Items"], gateway.get_stages(ApiId=api)["Items"]
        integrations = [gateway.get_integration(ApiId=api, IntegrationId=r["Target"].split("/")[1]) for r in routes]
        settings = [
            (stage["DefaultRouteSettings"], stage["AccessLogSettings"], stage["AutoDeploy"]) for stage in stages
        ]
        return [[route["RouteKey"] for route in routes], [one["IntegrationUri"] for one in integrations], settings]

    def state(self) -> str:
        """What there is in AWS, without what differs from run to run."""
        live = {"FunctionName": "my-api-prod", "Qualifier": "live"}
        function = self.aws.client("lambda").get_function(**live)
        configuration = function["Configuration"]
        policy = json.loads(self.aws.client("lambda").get_policy(**live)["Policy"])
        role = self.aws.client("iam").get_role_policy(RoleName="my-api-prod", PolicyName="service")
        alarms = self.aws.client("cloudwatch").describe_alarms()["MetricAlarms"]
        state = {
            "image": function["Code"]["ImageUri"],
            "settings": [configuration[key] for key in SETTINGS],
            "apis": [self._api(api["ApiId"]) for api in self.aws.client("apigatewayv2").get_apis()["Items"]],
            "statements": sorted(statement["Sid"] for statement in policy["Statement"]),
            "alarms": sorted(alarm["AlarmName"] for alarm in alarms),
            "log groups": [
                (group["logGroupName"], group["retentionInDays"])
                for group in self.aws.client("logs").describe_log_groups()["logGroups"]
            ],
            "policy": role["PolicyDocument"],
        }
        return json.dumps(state, indent=1)


@contextlib.contextmanager
def scene(bake: Bake, folder: Path, endpoint: str) -> Iterator[Scene]:
    roots = {body: folder / body for body in IMAGES}
    for body, root in roots.items():
        if not root.exists():
            write_handler(root, HANDLER.format(body=body))
    with EmbeddedAws(clock=ManualClock()) as aws:
        yield Scene(aws, InProcess(bake(endpoint=endpoint), aws), roots)


def interrupt(monkeypatch: pytest.MonkeyPatch, number: int, when: str) -> None:
    """Ctrl-C right before, or right after, the tool's `number`-th call that changes something."""
    call = BaseClient._make_api_call  # type: ignore[attr-defined]
    changes = itertools.count(1)

    def interrupted(self: BaseClient, operation: str, parameters: Any) -> Any:
        now = not operation.startswith(READS) and next(changes) == number
        if now and when == "before":
            raise KeyboardInterrupt
        answer = call(self, operation, parameters)
        if now:
            raise KeyboardInterrupt
        return answer

    monkeypatch.setattr(BaseClient, "_make_api_call", interrupted)


@pytest.fixture(scope="module", params=CHOICES["endpoint"])
def endpoint(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def undisturbed(bake: Bake, tmp_path_factory: pytest.TempPathFactory, endpoint: str) -> dict[str, Any]:
    """The calls of a first deploy and of an update, and the state that each ends in."""
    seen: dict[str, Any] = {}
    with scene(bake, tmp_path_factory.mktemp("undisturbed"), endpoint) as on:
        for body in RELEASES:
            before = len(on.aws.calls)
            assert on.release(body).code == 0
            seen[body] = [call for call in on.aws.calls[before:] if call.caller == "deployer"]
            seen[f"{body} state"] = on.state()
    return seen


def test_every_action_refused_in_a_first_deploy_is_named_and_the_next_one_completes(
    bake: Bake, tmp_path: Path, endpoint: str, undisturbed: dict[str, Any]
) -> None:
    actions = sorted({action for call in undisturbed["old"] for action in call.actions})
    for action in actions:
        with scene(bake, tmp_path, endpoint) as on:
            refuse(on, "old", action)
            assert on.release("old").code == 0, action
            assert on.answer() == "old"
            assert on.state() == undisturbed["old state"], action
    print(f"{len(actions)} refusals tried")


def test_every_change_refused_in_an_update_leaves_what_is_live(
    bake: Bake, tmp_path: Path, endpoint: str, undisturbed: dict[str, Any]
) -> None:
    actions = sorted({action for call in undisturbed["new"] if call.mutating for action in call.actions})
    assert "lambda:UpdateAlias" in actions
    for action in actions:
        with scene(bake, tmp_path, endpoint) as on:
            on.release("old")
            refuse(on, "new", action)
            assert on.answer() == "old", action
            assert on.release("new").code == 0, action
            assert on.answer() == "new"
            assert on.state() == undisturbed["new state"], action


def refuse(on: Scene, body: str, action: str) -> None:
    """A deploy that is not allowed this one action: two lines, the first of which names it."""
    on.aws.deny(action)
    refused = on.release(body)
    assert refused.code == 1, f"{action}: {refused}"
    assert len(refused.err.splitlines()) == 2, refused.err
    assert action.partition(":")[2] in refused.err.splitlines()[0]
    on.aws.clear_faults()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("body", "live"), [("old", None), ("new", "old")], ids=["first deploy", "update"])
def test_interrupted_at_every_change_the_next_run_converges(
    bake: Bake,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    endpoint: str,
    undisturbed: dict[str, Any],
    body: str,
    live: str | None,
    when: str,
) -> None:
    for number in itertools.count(1):
        with scene(bake, tmp_path, endpoint) as on:
            if live:
                on.release(live)
            with monkeypatch.context() as patched:
                interrupt(patched, number, when)
                stopped = on.release(body)
            if stopped.code == 0:  # there is no such call: every one was tried
                break
            assert stopped.code == 130, stopped
            assert "Interrupted" in stopped.err
            if live:
                assert on.answer() in RELEASES
            assert on.release(body).code == 0
            assert on.answer() == body
            assert on.state() == undisturbed[f"{body} state"]
    assert number > 3
    print(f"{number - 1} interruptions tried")
