"""A plan tells what the next deploy would do, and does none of it."""

import json

import pytest

from tests.scene import NAME, Scene

LOGS = f"/aws/lambda/{NAME}"


def test_before_the_first_deploy_everything_is_new(scene: Scene) -> None:
    plan = scene.deploy("plan", "--image", scene.images["old"], "--detailed-exitcode")
    assert plan.code == 2
    assert scene.mutations == []
    assert f"+ function {NAME}\n" in plan.out
    assert "    MemorySize: 512\n" in plan.out
    assert "~ live: nothing → a new version\n" in plan.out


def test_after_a_deploy_there_is_nothing_to_do(scene: Scene) -> None:
    scene.release("old")
    plan = scene.deploy("plan", "--image", scene.images["old"], "--detailed-exitcode")
    assert plan.code == 0
    assert plan.out.endswith("\nNothing to change.\n")


def test_each_field_that_differs_is_told_and_no_other(scene: Scene) -> None:
    scene.release("old")
    scene.configure("memory_mb = 1024", 'environment = { COLOUR = "red" }')
    scene.aws.client("logs").put_retention_policy(logGroupName=LOGS, retentionInDays=1)
    plan = scene.deploy("plan", "--image", scene.images["old"])
    assert plan.code == 0
    assert scene.mutations == []
    told = [line.strip() for line in plan.out.splitlines()]
    assert f"~ function {NAME}" in told
    assert "MemorySize: 512 → 1024" in told
    assert "Environment.Variables.COLOUR: null → red" in told
    assert f"~ log group {LOGS}" in told
    assert "retentionInDays: 1 → 30" in told
    assert "~ live: version 1 → a new version" in told
    assert not [line for line in told if line.startswith("Timeout")]


def test_a_mistake_is_not_taken_for_a_change(scene: Scene) -> None:
    scene.configure("memroy_mb = 1024")
    assert scene.deploy("plan").code == 2
    assert scene.deploy("plan", "--detailed-exitcode").code == 1


def test_as_data(scene: Scene) -> None:
    scene.release("old")
    scene.aws.client("logs").put_retention_policy(logGroupName=LOGS, retentionInDays=7)
    plan = scene.deploy("plan", "--image", scene.images["old"], "--json", "--detailed-exitcode")
    assert plan.code == 2
    fields = {"retentionInDays": {"is": 7, "should_be": 30}}
    change = {"action": "update", "kind": "log group", "name": LOGS, "fields": fields}
    dollars = {"is": 0.2, "should_be": 0.2}
    assert json.loads(plan.out) == {"new_version": False, "changes": [change], "dollars_a_month": dollars}


def test_what_it_changes_of_the_bill(scene: Scene) -> None:
    first = scene.deploy("plan", "--image", scene.images["old"])
    assert "$ a month: 0.00 → 0.20, with as many requests as in the last 30 days\n" in first.out
    scene.release("old")
    scene.aws.client("cloudwatch").delete_alarms(AlarmNames=[f"{NAME}-errors"])
    assert "$ a month: 0.10 → 0.20," in scene.deploy("plan", "--image", scene.images["old"]).out


@pytest.mark.answers(cold_starts="provisioned_concurrency")
def test_what_is_ready_is_paid_for(scene: Scene) -> None:
    scene.configure("provisioned_concurrency = { executions = 0 }")
    scene.release("old")
    scene.configure("memory_mb = 1024", "provisioned_concurrency = { executions = 2 }")
    ready = 2 * 30 * 24 * 3600 * 0.0000033334
    assert f"$ a month: 0.20 → {0.2 + ready:.2f}," in scene.deploy("plan", "--image", scene.images["old"]).out
    scene.release("old")
    scene.configure("memory_mb = 512", "provisioned_concurrency = { executions = 0 }")
    assert f"$ a month: {0.2 + ready:.2f} → 0.20," in scene.deploy("plan", "--image", scene.images["old"]).out


@pytest.mark.answers(cold_starts="snapstart")
def test_another_version_is_another_snapshot(scene: Scene) -> None:
    scene.release("old")
    snapshot = 0.5 * 30 * 24 * 3600 * 0.0000015046
    assert f"$ a month: {0.2 + snapshot:.2f} → {0.2 + 2 * snapshot:.2f}," in scene.deploy("plan").out


def test_an_image_that_is_still_to_be_built_is_named_by_its_content(scene: Scene) -> None:
    scene.release("old")
    plan = scene.deploy("plan")
    assert plan.code == 0
    assert f" → {NAME}:" in plan.out
    assert ", to be built" in plan.out
