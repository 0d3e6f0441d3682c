"""Environments are ready before a version is live, no longer than it is, and as many as the schedule says."""

from typing import Any

import pytest

from tests.deploy.cloud import Cloud, service_answers
from tests.deploy.test_deploy import answers_500

SCHEDULE = '[{ at = "cron(0 8 * * ? *)", executions = 5 }, { at = "cron(0 20 * * ? *)", executions = 0 }]'


def provide(cloud: Cloud, executions: int, schedule: str = "[]") -> None:
    settings = f'executions = {executions}, timezone = "Europe/Berlin", schedule = {schedule}'
    cloud.configure("provisioned_concurrency = {" + settings + "}")


@pytest.fixture(autouse=True)
def _two_at_once(cloud: Cloud) -> None:
    provide(cloud, 2)


def scaled(cloud: Cloud, version: str) -> list[dict[str, Any]]:
    """The scalable target of this version: one or none."""
    resource = f"function:{cloud.name}:{version}"
    autoscaling = cloud.client("application-autoscaling")
    found: list[dict[str, Any]] = autoscaling.describe_scalable_targets(
        ServiceNamespace="lambda", ResourceIds=[resource]
    )["ScalableTargets"]
    return found


def actions(cloud: Cloud) -> dict[str, dict[str, tuple[str, str, int]]]:
    """Of each version: what is scheduled."""
    found: dict[str, dict[str, tuple[str, str, int]]] = {}
    autoscaling = cloud.client("application-autoscaling")
    for action in autoscaling.describe_scheduled_actions(ServiceNamespace="lambda")["ScheduledActions"]:
        said = (action["Schedule"], action["Timezone"], action["ScalableTargetAction"]["MaxCapacity"])
        found.setdefault(action["ResourceId"].rpartition(":")[2], {})[action["ScheduledActionName"]] = said
    return found


def test_the_new_version_is_ready_before_it_is_live_and_the_old_one_goes_after(cloud: Cloud) -> None:
    cloud.run("--image", cloud.push_image("one"))
    assert cloud.provisioning.executions == {f"{cloud.name}:1": 2}
    assert cloud.run("--image", cloud.push_image("two")) == 0
    order = [call for call in cloud.calls if call in ("Invoke", "UpdateAlias") or "ProvisionedConcurrency" in call]
    put, move = order.index("PutProvisionedConcurrencyConfig"), order.index("UpdateAlias")
    assert order.index("Invoke") < put < order.index("GetProvisionedConcurrencyConfig", put) < move
    assert move < order.index("DeleteProvisionedConcurrencyConfig")
    assert cloud.provisioning.executions == {f"{cloud.name}:2": 2}


def test_when_lambda_cannot_start_them_nothing_changes(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    cloud.run("--image", cloud.push_image("one"))
    cloud.provisioning.failure = "FUNCTION_ERROR_INIT_FAILURE"
    assert cloud.run("--image", cloud.push_image("two")) == 1
    assert cloud.live_version() == "1"
    assert cloud.provisioning.executions == {f"{cloud.name}:1": 2}
    told = capsys.readouterr().err
    assert "could not start 2 environments of version 2 ahead of requests: FUNCTION_ERROR_INIT_FAILURE" in told
    assert "./deploy.sh logs --errors" in told


def test_when_the_url_fails_the_old_ones_still_serve(cloud: Cloud) -> None:
    cloud.run("--image", cloud.push_image("good"))
    cloud.answer = lambda event: (service_answers if event["rawPath"] == "/health" else answers_500)(event)
    assert cloud.run("--image", cloud.push_image("bad")) == 1
    assert cloud.live_version() == "1"
    assert cloud.provisioning.executions == {f"{cloud.name}:1": 2}


def test_another_number_needs_no_new_version(cloud: Cloud) -> None:
    image = cloud.push_image()
    cloud.run("--image", image)
    provide(cloud, 3)
    assert cloud.run("--image", image) == 0
    assert cloud.mutations == ["PutProvisionedConcurrencyConfig"]
    assert cloud.provisioning.executions == {f"{cloud.name}:1": 3}
    provide(cloud, 0)
    assert cloud.run("--image", image) == 0
    assert cloud.provisioning.executions == {}
    cloud.run("--image", image)
    assert cloud.mutations == []


def test_a_schedule_belongs_to_what_is_live_and_is_what_a_release_goes_by(cloud: Cloud) -> None:
    image = cloud.push_image("one")
    cloud.run("--image", image)
    provide(cloud, 2, SCHEDULE)
    assert cloud.run("--image", image) == 0
    wanted = {
        f"{cloud.name}-1": ("cron(0 8 * * ? *)", "Europe/Berlin", 5),
        f"{cloud.name}-2": ("cron(0 20 * * ? *)", "Europe/Berlin", 0),
    }
    assert actions(cloud) == {"1": wanted}
    assert [target["MinCapacity"] for target in scaled(cloud, "1")] == [2]
    assert cloud.run("--image", image) == 0
    assert cloud.mutations == []

    eight_o_clock(cloud, "1", 5)
    assert cloud.run("--image", image) == 0
    assert cloud.mutations == []  # what the schedule has set is right
    assert cloud.run("--image", cloud.push_image("two")) == 0
    assert cloud.provisioning.executions == {f"{cloud.name}:2": 5}
    assert actions(cloud) == {"2": wanted}
    assert scaled(cloud, "1") == []

    provide(cloud, 2)
    assert cloud.run("--image", image.replace("one", "two")) == 0
    assert cloud.provisioning.executions == {f"{cloud.name}:2": 2}
    assert actions(cloud) == {}
    assert scaled(cloud, "2") == []


def eight_o_clock(cloud: Cloud, version: str, executions: int) -> None:
    """What a scheduled action does when its time has come."""
    resource = {"ServiceNamespace": "lambda", "ScalableDimension": "lambda:function:ProvisionedConcurrency"}
    cloud.client("application-autoscaling").register_scalable_target(
        **resource, ResourceId=f"function:{cloud.name}:{version}", MinCapacity=executions, MaxCapacity=executions
    )
    cloud.provisioning.executions[f"{cloud.name}:{version}"] = executions


def test_a_schedule_that_has_ended_the_day_starts_nothing(cloud: Cloud) -> None:
    provide(cloud, 0, SCHEDULE)
    assert cloud.run("--image", cloud.push_image("one")) == 0
    assert cloud.provisioning.executions == {}
    assert cloud.run("--image", cloud.push_image("two")) == 0
    assert cloud.provisioning.executions == {}
    assert list(actions(cloud)) == ["2"]


def test_destroy_leaves_none(cloud: Cloud) -> None:
    provide(cloud, 2, SCHEDULE)
    cloud.run("--image", cloud.push_image())
    assert cloud.run("destroy", typed=cloud.name) == 0
    assert cloud.provisioning.executions == {}
    assert scaled(cloud, "1") == []
    assert actions(cloud) == {}


def test_reserved_concurrency_has_room_for_a_release(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    image = cloud.push_image()
    cloud.configure("reserved_concurrency = 3")
    assert cloud.run("--image", image) == 2
    assert "reserved_concurrency: must be at least 4" in capsys.readouterr().err
    cloud.configure("reserved_concurrency = 4")
    assert cloud.run("--image", image) == 0


@pytest.mark.parametrize(
    ("schedule", "told"),
    [
        ('[{ at = "8 o\'clock", executions = 1 }]', "provisioned_concurrency.schedule.0.at: must match pattern"),
        ('[{ at = "rate(1 day)", executions = -1 }]', "schedule.0.executions: must be greater than or equal to 0"),
        ('[{ at = "rate(1 day)", execution = 1 }]', "schedule.0.executions: is missing"),
    ],
)
def test_a_mistake_is_named(cloud: Cloud, capsys: pytest.CaptureFixture[str], schedule: str, told: str) -> None:
    provide(cloud, 2, schedule)
    assert cloud.run("--image", cloud.push_image()) == 2
    assert told in capsys.readouterr().err
