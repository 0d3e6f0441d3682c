"""Test the command `rollback`: the previous version is live again, unless it does not work."""

import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.support.deployed_stage import NAME, DeployedStage

FAILS = """
def handler(event, context):
    return {"statusCode": 500, "body": "{}"}
"""
NEEDS_A_FILE = """
import os

def handler(event, context):
    return {{"statusCode": 200 if os.path.exists("{file}") else 500, "body": "{{}}"}}
"""


@pytest.fixture
def two_releases(stage: DeployedStage) -> DeployedStage:
    for image in ("old", "new"):
        assert stage.release(image).code == 0
    return stage


def test_rollback_makes_the_previous_version_live_again(two_releases: DeployedStage) -> None:
    rollback = two_releases.deploy("rollback")
    assert rollback.code == 0
    assert two_releases.live_version() == "1"
    assert two_releases.get() == "old"
    assert "\nVersion 1 is live instead of 2. To undo this: ./deploy.sh rollback 2\n" in rollback.out
    assert rollback.out.endswith(" ms.\n")
    assert f"\n{two_releases.url()} answers in " in rollback.out
    assert two_releases.mutations[0] == "UpdateAlias"


def test_the_commands_that_rollback_suggests_contain_the_stage(stage: DeployedStage) -> None:
    for image in ("old", "new"):
        stage.deploy("--stage", "dev", "--image", stage.images[image])
    assert "To undo this: ./deploy.sh --stage dev rollback 2\n" in stage.deploy("--stage", "dev", "rollback").out
    assert stage.deploy("--stage", "qa", "rollback").err.endswith("Deploy it: ./deploy.sh --stage qa\n")


def test_a_second_rollback_needs_the_number_of_a_version(two_releases: DeployedStage) -> None:
    """The version that was rolled back is probably broken, so it is not recorded as the previous one."""
    two_releases.deploy("rollback")
    again = two_releases.deploy("rollback")
    assert again.code == 1
    version, *error = again.err.splitlines()
    assert version.startswith("    version 2 · ")
    assert error == ["No previous version is recorded.", "Choose one of those above: ./deploy.sh rollback 2"]
    assert two_releases.deploy("rollback", "2").code == 0
    assert two_releases.live_version() == "2"


def test_rollback_refuses_a_version_that_fails_its_smoke_test_unless_forced(
    stage: DeployedStage, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.touch()
    assert stage.deploy("--image", stage.push("fragile", NEEDS_A_FILE.format(file=file))).code == 0
    stage.release("new")
    file.unlink()
    refused = stage.deploy("rollback")
    assert refused.code == 1
    assert stage.mutations == []
    assert refused.err.splitlines()[-2:] == [
        "Version 1 failed its smoke test, GET /health: the response has status 500",
        "Version 2 is still live. Choose another version, or use --force.",
    ]
    forced = stage.deploy("rollback", "--force")
    assert forced.code == 1
    assert "\nVersion 1 failed its smoke test, GET /health: the response has status 500\n" in forced.out
    assert forced.err == f"{stage.url()} returned status 500: {{}}\nSee ./deploy.sh logs --errors\n"
    assert stage.live_version() == "1"
    file.touch()
    again = stage.deploy("rollback", "1")
    assert again.code == 0
    assert "\nVersion 1 is already live.\n" in again.out
    assert stage.mutations == []


def test_a_version_that_does_not_exist_is_an_error_with_a_list(two_releases: DeployedStage) -> None:
    refused = two_releases.deploy("rollback", "7")
    assert refused.code == 1
    version, *error = refused.err.splitlines()
    assert version.startswith("    version 1 · ")
    assert error == ["Version 7 does not exist.", "Choose one of those above: ./deploy.sh rollback 1"]


def test_the_only_version_cannot_be_rolled_back(stage: DeployedStage) -> None:
    stage.release("old")
    refused = stage.deploy("rollback")
    assert (refused.code, refused.err) == (1, "No previous version is recorded.\nNo other version exists.\n")


def test_rollback_before_the_first_deploy_is_an_error(stage: DeployedStage) -> None:
    refused = stage.deploy("rollback")
    assert refused.code == 1
    assert refused.err == "my-api has no release in stage prod.\nDeploy it: ./deploy.sh\n"


@pytest.mark.answers(cold_starts="provisioned_concurrency")
def test_rollback_provisions_environments_before_the_version_is_live(stage: DeployedStage) -> None:
    stage.configure("provisioned_concurrency = { executions = 2 }")
    for image in ("old", "new"):
        stage.release(image)
    assert stage.deploy("rollback").code == 0
    assert stage.calls.index("PutProvisionedConcurrencyConfig") < stage.calls.index("UpdateAlias")
    provisioned = stage.aws.client("lambda").list_provisioned_concurrency_configs(FunctionName=NAME)
    (config,) = provisioned["ProvisionedConcurrencyConfigs"]
    assert (config["FunctionArn"][-2:], config["RequestedProvisionedConcurrentExecutions"]) == (":1", 2)


def versions(stage: DeployedStage) -> list[str]:
    items = stage.aws.client("lambda").list_versions_by_function(FunctionName=NAME)["Versions"]
    return [item["Version"] for item in items if item["Version"] != "$LATEST"]


def test_versions_that_fail_do_not_take_the_places_of_those_for_a_rollback(stage: DeployedStage) -> None:
    stage.configure("keep_releases = 2")
    stage.release("old")
    stage.release("new")
    for number in range(3):
        failed = stage.deploy("--image", stage.push(f"fails {number}", FAILS))
        assert "failed its smoke test" in failed.err
    assert versions(stage) == ["1", "2"]
    assert stage.release("other").code == 0
    assert versions(stage) == ["2", "6"]


def test_a_version_that_was_live_before_is_kept_if_it_fails(
    stage: DeployedStage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.touch()
    image = stage.push("needs a file", NEEDS_A_FILE.format(file=file))
    stage.release("old")
    assert stage.deploy("--image", image).code == 0
    assert stage.deploy("rollback").code == 0
    file.unlink()
    an_hour_later = SimpleNamespace(time=lambda: time.time() + 3600)
    monkeypatch.setattr("deploy.commands.deploy.time", an_hour_later)
    assert "Version 2 failed its smoke test" in stage.deploy("--image", image).err
    assert versions(stage) == ["1", "2"]
