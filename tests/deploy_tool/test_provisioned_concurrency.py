"""Environments are ready before a version is live, no longer than it is, and as many as the schedule says."""

from typing import Any

import pytest

from tests.scene import NAME, Scene

pytestmark = pytest.mark.answers(cold_starts="provisioned_concurrency")

SCHEDULE = '[{ at = "cron(0 8 * * ? *)", executions = 5 }, { at = "cron(0 20 * * ? *)", executions = 0 }]'
NOT_AHEAD = """
import os

if os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"] == "provisioned-concurrency":
    raise RuntimeError("no room")

def handler(event, context):
    return {"statusCode": 200, "body": "{}"}
"""
ONLY_HEALTH = """
def handler(event, context):
    return {"statusCode": 200 if event["rawPath"] == "/health" else 500, "body": "{}"}
"""


def provide(scene: Scene, executions: int, schedule: str = "[]") -> None:
    settings = f"executions = {executions}, schedule = {schedule}"
    if "timezone" not in schedule:
        settings += ', timezone = "Europe/Berlin"'
    scene.configure("provisioned_concurrency = {" + settings + "}")


@pytest.fixture(autouse=True)
def _two_at_once(scene: Scene) -> None:
    provide(scene, 2)


def provided(scene: Scene) -> dict[str, int]:
    """How many environments stand ready, by version."""
    found = scene.aws.client("lambda").list_provisioned_concurrency_configs(FunctionName=NAME)
    return {
        one["FunctionArn"].rpartition(":")[2]: one["RequestedProvisionedConcurrentExecutions"]
        for one in found["ProvisionedConcurrencyConfigs"]
    }


def scaled(scene: Scene) -> dict[str, int]:
    """Of each version that is scaled: the least number of environments."""
    autoscaling = scene.aws.client("application-autoscaling")
    targets = autoscaling.describe_scalable_targets(ServiceNamespace="lambda")["ScalableTargets"]
    return {target["ResourceId"].rpartition(":")[2]: target["MinCapacity"] for target in targets}


def actions(scene: Scene) -> dict[str, dict[str, tuple[str, str, int]]]:
    """Of each version: what is scheduled."""
    found: dict[str, dict[str, tuple[str, str, int]]] = {}
    autoscaling = scene.aws.client("application-autoscaling")
    for action in autoscaling.describe_scheduled_actions(ServiceNamespace="lambda")["ScheduledActions"]:
        said = (action["Schedule"], action["Timezone"], action["ScalableTargetAction"]["MaxCapacity"])
        found.setdefault(action["ResourceId"].rpartition(":")[2], {})[action["ScheduledActionName"]] = said
    return found


def test_the_new_version_is_ready_before_it_is_live_and_the_old_one_goes_after(scene: Scene) -> None:
    scene.release("old")
    assert provided(scene) == {"1": 2}
    assert scene.release("new").code == 0
    order = [call for call in scene.calls if call in ("Invoke", "UpdateAlias") or "ProvisionedConcurrency" in call]
    put, move = order.index("PutProvisionedConcurrencyConfig"), order.index("UpdateAlias")
    assert order.index("Invoke") < put < order.index("GetProvisionedConcurrencyConfig", put) < move
    assert move < order.index("DeleteProvisionedConcurrencyConfig")
    assert provided(scene) == {"2": 2}


def test_when_lambda_cannot_start_them_nothing_changes(scene: Scene) -> None:
    scene.release("old")
    refused = scene.deploy("--image", scene.push("fails when it is started ahead", NOT_AHEAD))
    assert refused.code == 1
    assert scene.live_version() == "1"
    assert provided(scene) == {"1": 2}
    assert "could not start 2 environments of version 2 ahead of requests: FUNCTION_ERROR" in refused.err
    assert "./deploy.sh logs --errors" in refused.err


def test_when_the_url_fails_the_old_ones_still_serve(scene: Scene) -> None:
    scene.release("old")
    assert scene.deploy("--image", scene.push("only health", ONLY_HEALTH)).code == 1
    assert scene.live_version() == "1"
    assert provided(scene) == {"1": 2}


def test_another_number_needs_no_new_version(scene: Scene) -> None:
    scene.release("old")
    provide(scene, 3)
    assert scene.release("old").code == 0
    assert scene.mutations == ["PutProvisionedConcurrencyConfig"]
    assert provided(scene) == {"1": 3}
    provide(scene, 0)
    assert scene.release("old").code == 0
    assert provided(scene) == {}
    scene.release("old")
    assert scene.mutations == []


def test_a_schedule_belongs_to_what_is_live_and_is_what_a_release_goes_by(scene: Scene) -> None:
    scene.release("old")
    provide(scene, 2, SCHEDULE)
    assert scene.release("old").code == 0
    wanted = {
        f"{NAME}-1": ("cron(0 8 * * ? *)", "Europe/Berlin", 5),
        f"{NAME}-2": ("cron(0 20 * * ? *)", "Europe/Berlin", 0),
    }
    assert actions(scene) == {"1": wanted}
    assert scaled(scene) == {"1": 2}
    assert scene.release("old").code == 0
    assert scene.mutations == []

    eight_o_clock(scene, "1", 5)
    assert scene.release("old").code == 0
    assert scene.mutations == []  # what the schedule has set is right
    assert scene.release("new").code == 0
    assert provided(scene) == {"2": 5}
    assert actions(scene) == {"2": wanted}
    assert list(scaled(scene)) == ["2"]

    provide(scene, 2)
    assert scene.release("new").code == 0
    assert provided(scene) == {"2": 2}
    assert actions(scene) == {}
    assert scaled(scene) == {}


def eight_o_clock(scene: Scene, version: str, executions: int) -> None:
    """What a scheduled action does when its time has come."""
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


def test_a_schedule_that_has_ended_the_day_starts_nothing(scene: Scene) -> None:
    provide(scene, 0, SCHEDULE)
    assert scene.release("old").code == 0
    assert provided(scene) == {}
    assert scene.release("new").code == 0
    assert provided(scene) == {}
    assert list(actions(scene)) == ["2"]


def test_plan_and_status_tell_of_it(scene: Scene) -> None:
    scene.release("old")
    provide(scene, 5, SCHEDULE)
    plan = scene.deploy("plan", "--image", scene.images["old"], "--detailed-exitcode")
    assert plan.code == 2
    assert f"~ provisioned concurrency {NAME}:1\n    executions: 2 → 5\n    schedule: []" in plan.out
    assert "\nDeployed my-api" in scene.release("old").out
    assert "ready      5 environments · 2 scheduled changes" in scene.deploy("status").out
    assert scene.deploy("plan", "--image", scene.images["old"]).out.endswith("\nNothing to change.\n")


def test_destroy_leaves_none(scene: Scene) -> None:
    provide(scene, 2, SCHEDULE)
    scene.release("old")
    assert scene.deploy("destroy", typed=NAME).code == 0
    assert scaled(scene) == {}
    assert actions(scene) == {}


def test_reserved_concurrency_has_room_for_a_release(scene: Scene) -> None:
    scene.configure("reserved_concurrency = 3")
    refused = scene.release("old")
    assert refused.code == 2
    assert "reserved_concurrency: must be at least 4" in refused.err
    scene.configure("reserved_concurrency = 4")
    assert scene.release("old").code == 0


@pytest.mark.parametrize(
    ("schedule", "told"),
    [
        ('[{ at = "cron(nonsense)", executions = 1 }]', "provisioned_concurrency.schedule.0.at: must be a schedule"),
        ('[{ at = "cron(0 8 * * * *)", executions = 1 }]', "provisioned_concurrency.schedule.0.at: must be a schedule"),
        ('[], timezone = "Mars/Phobos"', "provisioned_concurrency.timezone: there is no time zone 'Mars/Phobos'"),
        ('[{ at = "8 o\'clock", executions = 1 }]', "provisioned_concurrency.schedule.0.at: must be a schedule"),
        ('[{ at = "rate(1 day)", executions = -1 }]', "schedule.0.executions: must be greater than or equal to 0"),
        ('[{ at = "rate(1 day)", execution = 1 }]', "schedule.0.executions: is missing"),
    ],
)
def test_a_mistake_is_named(scene: Scene, schedule: str, told: str) -> None:
    provide(scene, 2, schedule)
    refused = scene.release("old")
    assert refused.code == 2
    assert told in refused.err
