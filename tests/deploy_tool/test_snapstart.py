"""Test SnapStart: a version is released once its snapshot is ready, and a failure is explained."""

import pytest

from scripts.project_changes import append
from tests.support.deploy_tool import push_image
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
UPLOAD = """
from fastapi import UploadFile

@app.post("/upload")
async def upload(file: UploadFile) -> None: ...
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


def test_status_and_doctor_report_a_snapshot_that_aws_could_not_regenerate(stage: DeployedStage) -> None:
    assert "ok       snapshot: no version is live yet\n" in stage.deploy("doctor").out
    assert stage.release("old").code == 0
    assert "\nsnapshot   ready\n" in stage.deploy("status").out
    assert "ok       snapshot: version 1 can be started from it\n" in stage.deploy("doctor").out
    stage.aws.fail_snapshot_regeneration(NAME, "live")
    reason = "Lambda couldn't regenerate the SnapStart snapshot for the function."
    hint = "Publish a new version: ./deploy.sh --rebuild\n"
    status = stage.deploy("status")
    assert status.code == 0
    assert f"\nsnapshot   {reason}" in status.out
    assert f" {hint}" in status.out
    doctor = stage.deploy("doctor").out
    assert f"PROBLEM  snapshot: The live version cannot be started from its snapshot: {reason}" in doctor
    assert f"         {hint}" in doctor
    failed = stage.release("old")
    assert failed.code == 1
    assert failed.err.startswith(f"{stage.url()} returned status 502: Internal Server Error\n")
    assert stage.release("new").code == 0
    assert "\nsnapshot   ready\n" in stage.deploy("status").out
    stage.configure("snapstart = false")
    assert stage.release("new").code == 0
    assert "ok       snapshot: the live version does not use one\n" in stage.deploy("doctor").out
    assert "\nsnapshot" not in stage.deploy("status").out


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


def test_a_missing_package_is_named_if_no_snapshot_can_be_taken(stage: DeployedStage) -> None:
    append(stage.project, "app/main.py", UPLOAD)
    run = stage.deploy("--image", push_image(stage.project, stage.aws))
    assert run.code == 1
    message, hint = run.err.splitlines()[-2:]
    assert message.startswith("Lambda could not start version 1: The function failed to initialize: RuntimeError. ")
    assert "The image does not contain python-multipart: add the package that provides it to " in message
    assert hint.startswith("The live version did not change. ")
