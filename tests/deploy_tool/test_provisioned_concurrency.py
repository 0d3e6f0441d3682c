"""Test provisioned concurrency: environments are ready before a version is live, and follow the schedule."""

from typing import Any

import pytest

from tests.support.deployed_stage import NAME, DeployedStage

pytestmark = pytest.mark.answers(cold_starts="provisioned_concurrency")

SCHEDULE = '[{ at = "cron(0 8 * * ? *)", executions = 5 }, { at = "cron(0 20 * * ? *)", executions = 0 }]'
FAILS_WHEN_PROVISIONED = """
import os

if os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"] == "provisioned-concurrency":
    raise RuntimeError("cannot start")

def handler(event, context):
    return {"statusCode": 200, "body": "{}"}
"""
UNKNOWN_JOB = """
[jobs]
module = "app.jobs"
[jobs.schedule.weekly]
at = "rate(7 days)"
"""
ONLY_HEALTH_WORKS = """
def handler(event, context):
    return {"statusCode": 200 if event["rawPath"] == "/health" else 500, "body": "{}"}
"""


def configure(stage: DeployedStage, executions: int, schedule: str = "[]") -> None:
    settings = f"executions = {executions}, schedule = {schedule}"
    if "timezone" not in schedule:
        settings += ', timezone = "Europe/Berlin"'
    stage.configure("provisioned_concurrency = {" + settings + "}")


@pytest.fixture(autouse=True)
def _two_environments(stage: DeployedStage) -> None:
    configure(stage, 2)


def ready_environments(stage: DeployedStage) -> dict[str, int]:
    """Return the number of environments that are ready by version."""
    configs = stage.aws.client("lambda").list_provisioned_concurrency_configs(FunctionName=NAME)
    return {
        config["FunctionArn"].rpartition(":")[2]: config["RequestedProvisionedConcurrentExecutions"]
        for config in configs["ProvisionedConcurrencyConfigs"]
    }


def scheduled_minimum(stage: DeployedStage) -> dict[str, int]:
    """Return the number of environments that the schedule has set by version."""
    autoscaling = stage.aws.client("application-autoscaling")
    targets = autoscaling.describe_scalable_targets(ServiceNamespace="lambda")["ScalableTargets"]
    return {target["ResourceId"].rpartition(":")[2]: target["MinCapacity"] for target in targets}


def scheduled_actions(stage: DeployedStage) -> dict[str, dict[str, tuple[str, str, int]]]:
    """Return the schedule, time zone and number of environments of each action by version and name."""
    actions: dict[str, dict[str, tuple[str, str, int]]] = {}
    autoscaling = stage.aws.client("application-autoscaling")
    for action in autoscaling.describe_scheduled_actions(ServiceNamespace="lambda")["ScheduledActions"]:
        version = action["ResourceId"].rpartition(":")[2]
        settings = (action["Schedule"], action["Timezone"], action["ScalableTargetAction"]["MaxCapacity"])
        actions.setdefault(version, {})[action["ScheduledActionName"]] = settings
    return actions


def test_environments_start_before_a_version_is_live_and_stop_afterwards(stage: DeployedStage) -> None:
    stage.release("old")
    assert ready_environments(stage) == {"1": 2}
    assert stage.release("new").code == 0
    order = [call for call in stage.calls if call in ("Invoke", "UpdateAlias") or "ProvisionedConcurrency" in call]
    put, move = order.index("PutProvisionedConcurrencyConfig"), order.index("UpdateAlias")
    assert order.index("Invoke") < put < order.index("GetProvisionedConcurrencyConfig", put) < move
    assert move < order.index("DeleteProvisionedConcurrencyConfig")
    assert ready_environments(stage) == {"2": 2}


def test_a_version_whose_environments_fail_to_start_is_not_released(stage: DeployedStage) -> None:
    stage.release("old")
    refused = stage.deploy("--image", stage.push("fails when provisioned", FAILS_WHEN_PROVISIONED))
    assert refused.code == 1
    assert stage.live_version() == "1"
    assert ready_environments(stage) == {"1": 2}
    message, hint = refused.err.splitlines()
    assert message.startswith("Lambda could not start 2 environments of version 2 ahead of requests: FUNCTION_ERROR")
    assert hint == "The start failed, although the smoke test passed: see ./deploy.sh logs --errors"


@pytest.mark.parametrize("live", [True, False])
def test_the_environments_of_a_version_that_does_not_go_live_are_stopped(stage: DeployedStage, live: bool) -> None:
    if live:
        stage.release("old")
    file = stage.project.path / "deploy.toml"
    file.write_text(file.read_text("utf-8") + UNKNOWN_JOB, "utf-8")
    refused = stage.release("new")
    assert "app.jobs does not contain the job weekly" in refused.err
    assert "PutProvisionedConcurrencyConfig" in stage.mutations
    assert ready_environments(stage) == ({"1": 2} if live else {})


def test_an_interrupted_release_stops_the_environments_that_it_started(
    stage: DeployedStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.release("old")
    sleep = stage.aws.clock.sleep

    def press_ctrl_c(seconds: float) -> None:
        if stage.aws.calls[-1].operation == "GetProvisionedConcurrencyConfig":
            raise KeyboardInterrupt
        sleep(seconds)

    monkeypatch.setattr(stage.aws.clock, "sleep", press_ctrl_c)
    assert stage.release("new").code == 130
    assert "PutProvisionedConcurrencyConfig" in stage.mutations
    assert ready_environments(stage) == {"1": 2}


def test_a_rollback_that_cannot_move_the_alias_stops_the_environments_that_it_started(stage: DeployedStage) -> None:
    stage.release("old")
    stage.release("new")
    stage.aws.fail("lambda:UpdateAlias", "deny")
    assert stage.deploy("rollback").code == 1
    assert "PutProvisionedConcurrencyConfig" in stage.mutations
    assert ready_environments(stage) == {"2": 2}


def test_the_previous_environments_remain_when_the_url_fails(stage: DeployedStage) -> None:
    stage.release("old")
    refused = stage.deploy("--image", stage.push("only health works", ONLY_HEALTH_WORKS))
    assert refused.code == 1
    assert refused.err == (
        f"{stage.url()} returned status 500: {{}} Version 1 is live again.\nSee ./deploy.sh logs --errors\n"
    )
    assert stage.live_version() == "1"
    assert ready_environments(stage) == {"1": 2}


def test_the_number_can_change_without_a_new_version(stage: DeployedStage) -> None:
    stage.release("old")
    configure(stage, 3)
    assert stage.release("old").code == 0
    assert stage.mutations == ["PutProvisionedConcurrencyConfig"]
    assert ready_environments(stage) == {"1": 3}
    configure(stage, 0)
    assert stage.release("old").code == 0
    assert ready_environments(stage) == {}
    stage.release("old")
    assert stage.mutations == []


def test_a_release_keeps_the_number_that_the_schedule_has_set(stage: DeployedStage) -> None:
    stage.release("old")
    configure(stage, 2, SCHEDULE)
    assert stage.release("old").code == 0
    expected = {
        f"{NAME}-1": ("cron(0 8 * * ? *)", "Europe/Berlin", 5),
        f"{NAME}-2": ("cron(0 20 * * ? *)", "Europe/Berlin", 0),
    }
    assert scheduled_actions(stage) == {"1": expected}
    assert scheduled_minimum(stage) == {"1": 2}
    assert stage.release("old").code == 0
    assert stage.mutations == []

    run_scheduled_action(stage, "1", 5)
    assert stage.release("old").code == 0
    assert stage.mutations == []
    assert stage.release("new").code == 0
    assert ready_environments(stage) == {"2": 5}
    assert scheduled_actions(stage) == {"2": expected}
    assert list(scheduled_minimum(stage)) == ["2"]

    configure(stage, 2)
    assert stage.release("new").code == 0
    assert ready_environments(stage) == {"2": 2}
    assert scheduled_actions(stage) == {}
    assert scheduled_minimum(stage) == {}


def run_scheduled_action(stage: DeployedStage, version: str, executions: int) -> None:
    """Do what AWS does at the time of a scheduled action."""
    target: dict[str, Any] = {
        "ServiceNamespace": "lambda",
        "ScalableDimension": "lambda:function:ProvisionedConcurrency",
        "ResourceId": f"function:{NAME}:{version}",
    }
    stage.aws.client("application-autoscaling").register_scalable_target(
        **target, MinCapacity=executions, MaxCapacity=executions
    )
    stage.aws.client("lambda").put_provisioned_concurrency_config(
        FunctionName=NAME, Qualifier=version, ProvisionedConcurrentExecutions=executions
    )
    stage.aws.clock.advance(120)


def test_a_release_starts_no_environments_while_the_schedule_wants_none(stage: DeployedStage) -> None:
    configure(stage, 0, SCHEDULE)
    assert stage.release("old").code == 0
    assert ready_environments(stage) == {}
    assert stage.release("new").code == 0
    assert ready_environments(stage) == {}
    assert list(scheduled_actions(stage)) == ["2"]


def test_plan_and_status_show_environments_and_schedule(stage: DeployedStage) -> None:
    stage.release("old")
    configure(stage, 5, SCHEDULE)
    plan = stage.deploy("plan", "--image", stage.images["old"], "--detailed-exitcode")
    assert plan.code == 2
    assert f"~ provisioned concurrency {NAME}:1\n    executions: 2 → 5\n    schedule: []" in plan.out
    assert "\nDeployed my-api" in stage.release("old").out
    assert "\nready      5 environments · 2 scheduled changes\n" in stage.deploy("status").out
    assert stage.deploy("plan", "--image", stage.images["old"]).out.endswith("\nNothing to change.\n")


def test_destroy_deletes_the_schedule_and_the_environments(stage: DeployedStage) -> None:
    configure(stage, 2, SCHEDULE)
    stage.release("old")
    assert stage.deploy("destroy", typed=NAME).code == 0
    assert scheduled_minimum(stage) == {}
    assert scheduled_actions(stage) == {}


def test_reserved_concurrency_must_be_enough_for_two_versions(stage: DeployedStage) -> None:
    stage.configure("reserved_concurrency = 3")
    rejected = stage.release("old")
    assert rejected.code == 2
    assert rejected.err == (
        "deploy.toml: reserved_concurrency: must be at least 4: "
        "during a release, both the old and the new version have provisioned concurrency.\n"
        "Correct that key in deploy.toml.\n"
    )
    stage.configure("reserved_concurrency = 4")
    assert stage.release("old").code == 0


INVALID_SCHEDULE = (
    "provisioned_concurrency.schedule.0.at: must be a schedule, such as rate(5 minutes), at(2030-01-31T12:00:00), or "
    "cron(0 8 ? * MON-FRI *) with minutes, hours, day of the month, month, day of the week and year, and one of the "
    "two days is ?; it is {!r}.\n"
)


@pytest.mark.parametrize(
    ("schedule", "error"),
    [
        ('[{ at = "cron(nonsense)", executions = 1 }]', INVALID_SCHEDULE.format("cron(nonsense)")),
        ('[{ at = "cron(0 8 * * * *)", executions = 1 }]', INVALID_SCHEDULE.format("cron(0 8 * * * *)")),
        ('[{ at = "rate(1 minutes)", executions = 1 }]', INVALID_SCHEDULE.format("rate(1 minutes)")),
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
def test_an_error_in_the_schedule_names_the_key(stage: DeployedStage, schedule: str, error: str) -> None:
    configure(stage, 2, schedule)
    rejected = stage.release("old")
    assert rejected.code == 2
    assert rejected.err.startswith(f"deploy.toml: {error}")
