"""A version is released once its snapshot is ready, and says how long a restore takes."""

from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from tests.deploy.cloud import Cloud


def test_versions_have_a_snapshot(cloud: Cloud) -> None:
    image = cloud.push_image()
    assert cloud.run("--image", image) == 0
    live = cloud.client("lambda").get_function_configuration(FunctionName=cloud.name, Qualifier="live")
    assert live["SnapStart"]["ApplyOn"] == "PublishedVersions"
    cloud.configure("snapstart = false")
    assert cloud.run("--image", image) == 0
    assert cloud.live_version() == "2"
    live = cloud.client("lambda").get_function_configuration(FunctionName=cloud.name, Qualifier="live")
    assert live["SnapStart"]["ApplyOn"] == "None"


def published(monkeypatch: pytest.MonkeyPatch, *answers: dict[str, Any]) -> None:
    """What Lambda says of a version, one time after the other."""
    left, call = list(answers), BaseClient._make_api_call  # type: ignore[attr-defined]

    def answer(self: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:
        said = call(self, operation, parameters)
        numbered = parameters.get("Qualifier", "").isdigit()
        return said | left.pop(0) if operation == "GetFunctionConfiguration" and numbered and left else said

    monkeypatch.setattr(BaseClient, "_make_api_call", answer)
    monkeypatch.setattr("deploy.aws.POLL_S", 0)


def test_it_is_waited_for(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    image = cloud.push_image()
    off = {"SnapStart": {"ApplyOn": "PublishedVersions", "OptimizationStatus": "Off"}}
    published(monkeypatch, {"State": "Pending"}, {"State": "Active", **off})
    assert cloud.run("--image", image) == 0
    calls = cloud.calls[cloud.calls.index("PublishVersion") + 1 :]
    assert calls[: calls.index("Invoke")] == ["GetFunctionConfiguration"] * 3


def test_a_version_whose_init_fails_is_told_and_not_kept(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    image = cloud.push_image()
    published(monkeypatch, {"State": "Failed", "StateReason": "The function failed to initialize."})
    assert cloud.run("--image", image) == 1
    told = capsys.readouterr().err
    assert "could not prepare version 1: The function failed to initialize." in told
    assert "./deploy.sh logs --errors" in told
    versions = cloud.client("lambda").list_versions_by_function(FunctionName=cloud.name)["Versions"]
    assert [version["Version"] for version in versions] == ["$LATEST"]


def test_a_restore_that_fails_is_told(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    image = cloud.push_image()
    call = BaseClient._make_api_call  # type: ignore[attr-defined]

    def refused(self: BaseClient, operation: str, parameters: Any) -> Any:
        if operation == "Invoke" and parameters["FunctionName"] == f"{cloud.name}:1":
            raise ClientError({"Error": {"Code": "SnapStartException", "Message": "The hook failed."}}, operation)
        return call(self, operation, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", refused)
    assert cloud.run("--image", image) == 1
    told = capsys.readouterr().err.splitlines()
    assert told == [
        "Version 1 failed its smoke test, GET /health: it could not be restored from its snapshot: The hook failed.",
        "What was live still is. See ./deploy.sh logs --errors, correct it and deploy again.",
    ]
