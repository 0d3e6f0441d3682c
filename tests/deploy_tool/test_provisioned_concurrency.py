"""Provisioned concurrency: environments are ready before a version is live, and as many as the schedule sets."""

from typing import Any

import pytest

from tests.scene import NAME, Scene

pytestmark = pytest.mark.answers(cold_starts="provisioned_concurrency")

SCHEDULE = '[{ at = "cron(0 8 * * ? *)", executions = 5 }, { at = "cron(0 20 * * ? *)", executions = 0 }]'
FAILS_WHEN_PROVISIONED = """
import os

if os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"] == "provisioned-concurrency":
    raise RuntimeError("no room")

def handler(event, context):
    return {"statusCode": 200, "body": "{}"}
"""
ONLY_HEALTH_WORKS = """
def handler(event, context):
    return {"statusCode": 200 if event["rawPath"] == "/health" else 500, "body": "{}"}
"""


def configure(scene: Scene, executions: int, schedule: str = "[]") -> None:
    settings = f"executions = {executions}, schedule = {schedule}"
    if "timezone" not in schedule:
        settings += ', timezone = "Europe/Berlin"'
    scene.configure("provisioned_concurrency = {" + settings + "}")


@pytest.fixture(autouse=True)
def _two_environments(scene: Scene) -> None:
    configure(scene, 2)


def ready_environments(scene: Scene) -> dict[str, int]:
    """Return the number of environments that are ready by version."""
    configs = scene.aws.client("lambda").list_provisioned_concurrency_configs(FunctionName=NAME)
    return {
        config["FunctionArn"].rpartition(":")[2]: config["RequestedProvisionedConcurrentExecutions"]
        for config in configs["ProvisionedConcurrencyConfigs"]
    }


def scheduled_minimum(scene: Scene) -> dict[str, int]:
    """Return the number of environments that the schedule has set by version."""
    autoscaling = scene.aws.client("application-autoscaling")
    targets = autoscaling.describe_scalable_targets(ServiceNamespace="lambda")["ScalableTargets"]
    return {target["ResourceId"].rpartition(":")[2]: target["MinCapacity"] for target in targets}


def scheduled_actions(scene: Scene) -> dict[str, dict[str, tuple[str, str, int]]]:
    """Return the schedule, time zone and number of environments of each action by version and name."""
    actions: dict[str, dict[str, tuple[str, str, int]]] = {}
    autoscaling = scene.aws.client("application-autoscaling")
    for action in autoscaling.describe_scheduled_actions(ServiceNamespace="lambda")["ScheduledActions"]:
        version = action["ResourceId"].rpartition(":")[2]
        settings = (action["Schedule"], action["Timezone"], action["ScalableTargetAction"]["MaxCapacity"])
        actions.setdefault(version, {})[action["ScheduledActionName"]] = settings
    return actions


def test_environments_start_before_a_version_is_live_and_stop_afterwards(scene: Scene) -> None:
    scene.release("old")
    assert ready_environments(scene) == {"1": 2}
    assert scene.release("new").code == 0
    order = [call for call in scene.calls if call in ("Invoke", "UpdateAlias") or "ProvisionedConcurrency" in call]
    put, move = order.index("PutProvisionedConcurrencyConfig"), order.index("UpdateAlias")
    assert order.index("Invoke") < put < order.index("GetProvisionedConcurrencyConfig", put) < move
    assert move < order.index("DeleteProvisionedConcurrencyConfig")
    assert ready_environments(scene) == {"2": 2}


def test_a_version_whose_environments_fail_to_start_is_not_released(scene: Scene) -> None:
    scene.release("old")
    refused = scene.deploy("--image", scene.push("fails when provisioned", FAILS_WHEN_PROVISIONED))
    assert refused.code == 1
    assert scene.live_version() == "1"
    assert ready_environments(scene) == {"1": 2}
    message, hint = refused.err.splitlines()
    assert message.startswith("Lambda could not start 2 environments of version 2 ahead of requests: FUNCTION_ERROR")
    assert hint == "The start failed, although the smoke test passed: see ./deploy.sh logs --errors"


def test_the_previous_environments_remain_when_the_url_fails(scene: Scene) -> None:
    scene.release("old")
    refused = scene.deploy("--image", scene.push("only health works", ONLY_HEALTH_WORKS))
    assert refused.code == 1
    assert refused.err == (
        f"{scene.url()} returned status 500: {{}} Version 1 is live again.\nSee ./deploy.sh logs --errors\n"
    )
    assert scene.live_version() == "1"
    assert ready_environments(scene) == {"1": 2}


def test_the_number_can_change_without_a_new_version(scene: Scene) -> None:
    scene.release("old")
    configure(scene, 3)
    assert scene.release("old").code == 0
    assert scene.mutations == ["PutProvisionedConcurrencyConfig"]
    assert ready_environments(scene) == {"1": 3}
    configure(scene, 0)
    assert scene.release("old").code == 0
    assert ready_environments(scene) == {}
    scene.release("old")
    assert scene.mutations == []


def test_a_release_keeps_the_number_that_the_schedule_has_set(scene: Scene) -> None:
    scene.release("old")
    configure(scene, 2, SCHEDULE)
    assert scene.release("old").code == 0
    expected = {
        f"{NAME}-1": ("cron(0 8 * * ? *)", "Europe/Berlin", 5),
        f"{NAME}-2": ("cron(0 20 * * ? *)", "Europe/Berlin", 0),
    }
    assert scheduled_actions(scene) == {"1": expected}
    assert scheduled_minimum(scene) == {"1": 2}
    assert scene.release("old").code == 0
    assert scene.mutations == []

    run_scheduled_action(scene, "1", 5)
    assert scene.release("old").code == 0
    assert scene.mutations == []
    assert scene.release("new").code == 0
    assert ready_environments(scene) == {"2": 5}
    assert scheduled_actions(scene) == {"2": expected}
    assert list(scheduled_minimum(scene)) == ["2"]

    configure(scene, 2)
    assert scene.release("new").code == 0
    assert ready_environments(scene) == {"2": 2}
    assert scheduled_actions(scene) == {}
    assert scheduled_minimum(scene) == {}


def run_scheduled_action(scene: Scene, version: str, executions: int) -> None:
    """Do what AWS does at the time of a scheduled action."""
    target: dict[str, Any] = {
        "ServiceNamespace": "lambda",
        "ScalableDimension": "lambda:function:ProvisionedConcurrency",
        "ResourceId": f"function:{NAME}:{version}",
    }
    scene.aws.client("application-autoscaling").register_scalable_target(
        **target, MinCapacity=executions, MaxCapacity=executions
    )
    scene.aws.client("lambda").put_provisioned_concurrency_config(
        FunctionName=NAME, Qualifier=version, ProvisionedConcurrentExecutions=executions
    )
    scene.aws.clock.advance(120)


def test_a_release_starts_no_environments_while_the_schedule_wants_none(scene: Scene) -> None:
    configure(scene, 0, SCHEDULE)
    assert scene.release("old").code == 0
    assert ready_environments(scene) == {}
    assert scene.release("new").code == 0
    assert ready_environments(scene) == {}
    assert list(scheduled_actions(scene)) == ["2"]


def test_plan_and_status_show_environments_and_schedule(scene: Scene) -> None:
    scene.release("old")
    configure(scene, 5, SCHEDULE)
    plan = scene.deploy("plan", "--image", scene.images["old"], "--detailed-exitcode")
    assert plan.code == 2
    assert f"~ provisioned concurrency {NAME}:1\n    executions: 2 → 5\n    schedule: []" in plan.out
    assert "\nDeployed my-api" in scene.release("old").out
    assert "\nready      5 environments · 2 scheduled changes\n" in scene.deploy("status").out
    assert scene.deploy("plan", "--image", scene.images["old"]).out.endswith("\nNothing to change.\n")


def test_destroy_deletes_the_schedule_and_the_environments(scene: Scene) -> None:
    configure(scene, 2, SCHEDULE)
    scene.release("old")
    assert scene.deploy("destroy", typed=NAME).code == 0
    assert scheduled_minimum(scene) == {}
    assert scheduled_actions(scene) == {}


def test_reserved_concurrency_must_be_enough_for_two_versions(scene: Scene) -> None:
    scene.configure("reserved_concurrency = 3")
    rejected = scene.release("old")
    assert rejected.code == 2
    assert rejected.err == (
        "deploy.toml: reserved_concurrency: must be at least 4: "
        "during a release, both the old and the new version have provisioned concurrency.\n"
        "Correct that key in deploy.toml.\n"
    )
    scene.configure("reserved_concurrency = 4")
    assert scene.release("old").code == 0


INVALID_SCHEDULE = (
    "provisioned_concurrency.schedule.0.at: must be a schedule, such as cron(0 8 ? * MON-FRI *); it is {!r}.\n"
)


@pytest.mark.parametrize(
    ("schedule", "error"),
    [
        ('[{ at = "cron(nonsense)", executions = 1 }]', INVALID_SCHEDULE.format("cron(nonsense)")),
        ('[{ at = "cron(0 8 * * * *)", executions = 1 }]', INVALID_SCHEDULE.format("cron(0 8 * * * *)")),
        ('[{ at = "8 o\'clock", executions = 1 }]', INVALID_SCHEDULE.format("8 o'clock")),
        (
            '[], timezone = "Mars/Phobos"',
            "provisioned_concurrency.timezone: must be a time zone, such as Europe/Berlin; it is 'Mars/Phobos'.\n",
        ),
        (
            '[{ at = "rate(1 day)", executions = -1 }]',
            "provisioned_concurrency.schedule.0.executions: must be greater than or equal to 0; it is -1.\n",
        ),
        (
            '[{ at = "rate(1 day)", execution = 1 }]',
            "provisioned_concurrency.schedule.0.executions: is missing.\n",
        ),
    ],
)
def test_a_mistake_in_deploy_toml_names_the_key(scene: Scene, schedule: str, error: str) -> None:
    configure(scene, 2, schedule)
    rejected = scene.release("old")
    assert rejected.code == 2
    assert rejected.err.startswith(f"deploy.toml: {error}")
