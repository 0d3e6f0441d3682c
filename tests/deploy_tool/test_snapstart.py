"""A version is released once its snapshot is ready, and says what is wrong when it never is."""

import pytest

from tests.scene import NAME, Scene

pytestmark = pytest.mark.answers(cold_starts="snapstart")

NO_SNAPSHOT = """
raise RuntimeError("no disk")
"""
NO_RESTORE = """
from snapshot_restore_py import register_after_restore

@register_after_restore
def connect():
    raise RuntimeError("no connection")

def handler(event, context):
    return {"statusCode": 200, "body": "{}"}
"""


def snapshots_of(scene: Scene) -> str:
    live = scene.aws.client("lambda").get_function_configuration(FunctionName=NAME, Qualifier="live")
    return str(live["SnapStart"]["ApplyOn"])


def test_versions_have_a_snapshot(scene: Scene) -> None:
    assert scene.release("old").code == 0
    assert snapshots_of(scene) == "PublishedVersions"
    scene.configure("snapstart = false")
    assert scene.release("old").code == 0
    assert scene.live_version() == "2"
    assert snapshots_of(scene) == "None"


def test_it_is_waited_for(scene: Scene) -> None:
    assert scene.release("old").code == 0
    calls = scene.calls[scene.calls.index("PublishVersion") + 1 :]
    waited = calls[: calls.index("Invoke")]
    assert set(waited) == {"GetFunctionConfiguration"}
    assert len(waited) > 2


def test_a_version_whose_init_fails_is_told_and_not_kept(scene: Scene) -> None:
    refused = scene.deploy("--image", scene.push("no snapshot", NO_SNAPSHOT))
    assert refused.code == 1
    assert "could not prepare version 1: " in refused.err
    assert "RuntimeError: no disk\n" in refused.err
    assert "./deploy.sh logs --errors" in refused.err
    versions = scene.aws.client("lambda").list_versions_by_function(FunctionName=NAME)["Versions"]
    assert [version["Version"] for version in versions] == ["$LATEST"]


def test_a_restore_that_fails_is_told(scene: Scene) -> None:
    refused = scene.deploy("--image", scene.push("no restore", NO_RESTORE))
    assert refused.code == 1
    assert "RuntimeError: no connection\n" in refused.err
    told = refused.err.splitlines()
    assert told[-2].startswith(
        "Version 1 failed its smoke test, GET /health: it could not be restored from its snapshot: "
    )
    assert "What was live still is. See ./deploy.sh logs --errors, correct it and deploy again." in told
