"""Test SnapStart: a version is released once its snapshot is ready, and a failure is explained."""

import pytest

from tests.support.deployed_stage import NAME, DeployedStage

pytestmark = pytest.mark.answers(cold_starts="snapstart")

FAILS_INIT = """
raise RuntimeError("no disk")
"""
FAILS_RESTORE = """
from snapshot_restore_py import register_after_restore

@register_after_restore
def connect():
    raise RuntimeError("no connection")

def handler(event, context):
    return {"statusCode": 200, "body": "{}"}
"""


def snapshots_of_live_version(stage: DeployedStage) -> str:
    live = stage.aws.client("lambda").get_function_configuration(FunctionName=NAME, Qualifier="live")
    return str(live["SnapStart"]["ApplyOn"])


def test_versions_have_a_snapshot_unless_deploy_toml_disables_it(stage: DeployedStage) -> None:
    assert stage.release("old").code == 0
    assert snapshots_of_live_version(stage) == "PublishedVersions"
    stage.configure("snapstart = false")
    assert stage.release("old").code == 0
    assert stage.live_version() == "2"
    assert snapshots_of_live_version(stage) == "None"


def test_a_release_waits_for_the_snapshot(stage: DeployedStage) -> None:
    assert stage.release("old").code == 0
    calls = stage.calls[stage.calls.index("PublishVersion") + 1 :]
    while_waiting = calls[: calls.index("Invoke")]
    assert set(while_waiting) == {"GetFunctionConfiguration"}
    assert len(while_waiting) > 2


def test_a_version_whose_init_fails_is_explained_and_deleted(stage: DeployedStage) -> None:
    refused = stage.deploy("--image", stage.push("fails init", FAILS_INIT))
    assert refused.code == 1
    *log, message, hint = refused.err.splitlines()
    assert "        RuntimeError: no disk" in log
    assert message.startswith("Lambda could not start version 1: ")
    assert hint == "The live version did not change. Fix the cause (see ./deploy.sh logs --errors) and deploy again."
    versions = stage.aws.client("lambda").list_versions_by_function(FunctionName=NAME)["Versions"]
    assert [version["Version"] for version in versions] == ["$LATEST"]


def test_a_version_that_cannot_be_restored_is_explained(stage: DeployedStage) -> None:
    refused = stage.deploy("--image", stage.push("fails restore", FAILS_RESTORE))
    assert refused.code == 1
    *log, message, hint = refused.err.splitlines()
    assert "        RuntimeError: no connection" in log
    assert message.startswith(
        "Version 1 failed its smoke test, GET /health: Lambda could not run it: "
        "The afterRestore() runtime hook encountered an error."
    )
    assert hint == "No traffic was moved. Fix the error and deploy again."
