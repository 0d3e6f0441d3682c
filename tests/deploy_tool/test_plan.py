"""Test the command `plan`: it prints what a deploy would change, and changes nothing."""

import json
import re

import pytest

from tests.support.deployed_stage import NAME, DeployedStage

LOG_GROUP = f"/aws/lambda/{NAME}"
MONTH_S = 30 * 24 * 3600


def cost_line(before: float, after: float) -> str:
    return f"Cost: ${before:.2f} → ${after:.2f} a month, with as many requests as in the last 30 days\n"


def test_before_the_first_deploy_everything_is_created(stage: DeployedStage) -> None:
    plan = stage.deploy("plan", "--image", stage.images["old"], "--detailed-exitcode")
    assert plan.code == 2
    assert stage.mutations == []
    assert f"\n+ function {NAME}\n" in plan.out
    assert "\n    MemorySize: 512\n" in plan.out
    assert "\n~ live version: none → a new version\n" in plan.out
    changes = len(re.findall(r"(?m)^[+~-] ", plan.out))
    assert plan.out.endswith(f"\n{changes} changes.\n")


def test_after_a_deploy_nothing_changes(stage: DeployedStage) -> None:
    stage.release("old")
    plan = stage.deploy("plan", "--image", stage.images["old"], "--detailed-exitcode")
    assert plan.code == 0
    assert plan.out == "my-api · prod · us-east-1\nNothing to change.\n"


def test_only_properties_that_differ_are_printed(stage: DeployedStage) -> None:
    stage.release("old")
    stage.configure("memory_mb = 1024", 'environment = { COLOUR = "red" }')
    stage.aws.client("logs").put_retention_policy(logGroupName=LOG_GROUP, retentionInDays=1)
    plan = stage.deploy("plan", "--image", stage.images["old"])
    assert plan.code == 0
    assert stage.mutations == []
    assert plan.out.splitlines() == [
        "my-api · prod · us-east-1",
        f"~ log group {LOG_GROUP}",
        "    retentionInDays: 1 → 30",
        f"~ function {NAME}",
        "    MemorySize: 512 → 1024",
        "    Environment.Variables.COLOUR: null → red",
        "~ live version: 1 → a new version",
        "3 changes.",
    ]


def test_with_detailed_exitcode_an_error_has_exit_code_1(stage: DeployedStage) -> None:
    assert stage.deploy("plan", "--unknown").code == 2
    assert stage.deploy("plan", "--detailed-exitcode", "--unknown").code == 1
    stage.configure("memroy_mb = 1024")
    rejected = stage.deploy("plan")
    assert (rejected.code, rejected.err) == (2, "deploy.toml: memroy_mb: unknown key.\nDid you mean memory_mb?\n")
    assert stage.deploy("plan", "--detailed-exitcode").code == 1


def test_a_plan_can_be_printed_as_json(stage: DeployedStage) -> None:
    stage.release("old")
    stage.aws.client("logs").put_retention_policy(logGroupName=LOG_GROUP, retentionInDays=7)
    plan = stage.deploy("plan", "--image", stage.images["old"], "--json", "--detailed-exitcode")
    assert plan.code == 2
    fields = {"retentionInDays": {"is": 7, "should_be": 30}}
    change = {"action": "update", "kind": "log group", "name": LOG_GROUP, "fields": fields}
    dollars = {"is": 0.2, "should_be": 0.2}
    assert json.loads(plan.out) == {"new_version": False, "changes": [change], "dollars_a_month": dollars}


def test_a_plan_shows_how_the_cost_changes(stage: DeployedStage) -> None:
    assert f"\n{cost_line(0, 0.2)}" in stage.deploy("plan", "--image", stage.images["old"]).out
    stage.release("old")
    stage.aws.client("cloudwatch").delete_alarms(AlarmNames=[f"{NAME}-errors"])
    assert f"\n{cost_line(0.1, 0.2)}" in stage.deploy("plan", "--image", stage.images["old"]).out


@pytest.mark.answers(cold_starts="provisioned_concurrency")
def test_the_cost_includes_environments_that_are_ready(stage: DeployedStage) -> None:
    stage.configure("provisioned_concurrency = { executions = 0 }")
    stage.release("old")
    stage.configure("memory_mb = 1024", "provisioned_concurrency = { executions = 2 }")
    ready = 2 * MONTH_S * 0.0000033334
    assert f"\n{cost_line(0.2, 0.2 + ready)}" in stage.deploy("plan", "--image", stage.images["old"]).out
    stage.release("old")
    stage.configure("memory_mb = 512", "provisioned_concurrency = { executions = 0 }")
    assert f"\n{cost_line(0.2 + ready, 0.2)}" in stage.deploy("plan", "--image", stage.images["old"]).out


@pytest.mark.answers(cold_starts="snapstart")
def test_the_cost_includes_the_snapshot_of_the_new_version(stage: DeployedStage) -> None:
    stage.release("old")
    snapshot = 0.5 * MONTH_S * 0.0000015046
    assert f"\n{cost_line(0.2 + snapshot, 0.2 + 2 * snapshot)}" in stage.deploy("plan").out


def test_a_plan_shows_the_tag_of_an_image_that_has_to_be_built(stage: DeployedStage) -> None:
    stage.release("old")
    plan = stage.deploy("plan")
    assert plan.code == 0
    image = stage.images["old"]
    assert re.fullmatch(
        rf"my-api · prod · us-east-1\n\+ image {NAME}:[0-9a-f]{{16}}\n~ function {NAME}\n"
        rf"    ImageUri: {re.escape(image)} → <image>\n~ live version: 1 → a new version\n3 changes\.\n",
        plan.out,
    ), plan.out
    rebuilt = stage.deploy("plan", "--rebuild").out
    assert re.search(rf"\n\+ image {NAME}:[0-9a-f]{{16}}-rebuilt-\d{{14}}\n", rebuilt), rebuilt
