"""What was live before is live again, unless it does not work."""

from pathlib import Path

import pytest

from tests.scene import NAME, Scene

WHILE_THERE = """
import os

def handler(event, context):
    return {{"statusCode": 200 if os.path.exists("{file}") else 500, "body": "{{}}"}}
"""


@pytest.fixture
def two_releases(scene: Scene) -> Scene:
    for image in ("old", "new"):
        assert scene.release(image).code == 0
    return scene


def test_the_release_before_is_live_again(two_releases: Scene) -> None:
    back = two_releases.deploy("rollback")
    assert back.code == 0
    assert two_releases.live_version() == "1"
    assert two_releases.answer() == "old"
    assert "Version 1 is live instead of 2. To undo it: ./deploy.sh rollback 2\n" in back.out
    assert two_releases.mutations[0] == "UpdateAlias"


def test_what_to_do_next_is_said_for_the_stage_at_hand(scene: Scene) -> None:
    for image in ("old", "new"):
        scene.deploy("--stage", "dev", "--image", scene.images[image])
    assert "To undo it: ./deploy.sh --stage dev rollback 2\n" in scene.deploy("--stage", "dev", "rollback").out
    assert scene.deploy("--stage", "qa", "rollback").err.endswith("Deploy it: ./deploy.sh --stage qa\n")


def test_where_it_came_from_is_nothing_to_go_back_to(two_releases: Scene) -> None:
    two_releases.deploy("rollback")
    again = two_releases.deploy("rollback")
    assert again.code == 1
    assert "    version 2 · " in again.err
    assert "Name one of those above: ./deploy.sh rollback 2\n" in again.err
    assert two_releases.deploy("rollback", "2").code == 0
    assert two_releases.live_version() == "2"


def test_one_that_fails_its_smoke_test_is_refused_unless_forced(scene: Scene, tmp_path: Path) -> None:
    (depends_on := tmp_path / "file").touch()
    assert scene.deploy("--image", scene.push("fragile", WHILE_THERE.format(file=depends_on))).code == 0
    scene.release("new")
    depends_on.unlink()
    refused = scene.deploy("rollback")
    assert refused.code == 1
    assert scene.mutations == []
    assert "Version 1 failed its smoke test" in refused.err
    assert "Version 2 still is live" in refused.err
    assert scene.deploy("rollback", "--force").code == 1  # the URL answers 500
    assert scene.live_version() == "1"
    depends_on.touch()
    assert scene.deploy("rollback", "1").code == 0
    assert scene.mutations == []


def test_a_version_that_is_not_there(two_releases: Scene) -> None:
    refused = two_releases.deploy("rollback", "7")
    assert refused.code == 1
    assert refused.err.splitlines()[1:] == [
        "There is no version 7.",
        "Name one of those above: ./deploy.sh rollback 1",
    ]


def test_before_the_first_deploy(scene: Scene) -> None:
    refused = scene.deploy("rollback")
    assert refused.code == 1
    assert "has no release in stage prod" in refused.err


@pytest.mark.answers(cold_starts="provisioned_concurrency")
def test_it_is_ready_before_it_is_live(scene: Scene) -> None:
    scene.configure("provisioned_concurrency = { executions = 2 }")
    for image in ("old", "new"):
        scene.release(image)
    assert scene.deploy("rollback").code == 0
    assert scene.calls.index("PutProvisionedConcurrencyConfig") < scene.calls.index("UpdateAlias")
    provisioned = scene.aws.client("lambda").list_provisioned_concurrency_configs(FunctionName=NAME)
    (one,) = provisioned["ProvisionedConcurrencyConfigs"]
    assert (one["FunctionArn"][-2:], one["RequestedProvisionedConcurrentExecutions"]) == (":1", 2)
