"""Whatever goes wrong is told in two lines, with the right exit code."""

import boto3
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from tests.deploy.cloud import Cloud


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["deplyo"], "invalid choice: 'deplyo'"),
        (["--stgae=dev"], "nrecognized arguments: --stgae"),
        (["--stage", "Prod!"], "'Prod!' cannot be a stage's name"),
        (["logs", "--hours", "nan"], "invalid hours value: 'nan'"),
        (["secret"], "he following arguments are required"),
        (["secret", "set", "api-key"], "'api-key' cannot be a secret's name"),
    ],
)
def test_a_mistake_in_the_arguments_is_exit_code_2(
    cloud: Cloud, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    assert cloud.run(*arguments) == 2
    error = capsys.readouterr().err
    assert told in error
    assert len(error.splitlines()) == 2
    assert cloud.calls == []


def test_a_region_that_does_not_exist(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    cloud.configure('region = "us-east-9"')
    assert cloud.run() == 2
    assert "region: AWS has no Region 'us-east-9'" in capsys.readouterr().err


def test_no_credentials(cloud: Cloud, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(cloud.project / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(cloud.project / "none"))
    monkeypatch.setattr("boto3.Session", boto3.session.Session)  # a new one, which looks for them
    assert cloud.run() == 1
    assert capsys.readouterr().err.startswith("No AWS credentials were found.\nSet AWS_PROFILE")


def test_no_container_engine(cloud: Cloud, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert cloud.run() == 1
    assert "Docker is not installed" in capsys.readouterr().err
    assert cloud.mutations == []


@pytest.mark.parametrize("image", ["", "x", "x/y z", "registry/Upper:tag"])
def test_an_image_that_cannot_be_one(cloud: Cloud, capsys: pytest.CaptureFixture[str], image: str) -> None:
    assert cloud.run("--image", image) == 2
    assert f"{image!r} is not the URI of an image" in capsys.readouterr().err
    assert cloud.mutations == []


def test_an_image_of_another_registry(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    cloud.push_image()
    assert cloud.run("--image", "ghcr.io/elsewhere:one") == 2
    assert "ghcr.io/elsewhere is not in this account's ECR" in capsys.readouterr().err
    assert cloud.mutations == []


def test_debug_shows_the_traceback_too(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    assert cloud.run("--debug", "--image", "x") == 2
    error = capsys.readouterr().err
    assert "Traceback" in error
    assert error.endswith("Give it as <registry>/<repository>:<tag>\n")


def test_an_image_that_is_not_there(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    image = cloud.push_image()
    assert cloud.run("--image", image + "-not") == 1
    assert f"There is no image {image}-not in ECR" in capsys.readouterr().err
    assert cloud.mutations == []


def test_an_action_that_is_not_allowed_is_named(
    cloud: Cloud, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    image = cloud.push_image()
    call = BaseClient._make_api_call  # type: ignore[attr-defined]

    def refused(self: BaseClient, operation: str, parameters: object) -> object:
        if operation == "PublishVersion":
            message = "User: arn:aws:iam::123456789012:user/dev is not authorized to perform: lambda:PublishVersion"
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": message}}, operation)
        return call(self, operation, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", refused)
    assert cloud.run("--image", image) == 1
    error = capsys.readouterr().err
    assert "AWS refused PublishVersion" in error
    assert len(error.splitlines()) == 2
