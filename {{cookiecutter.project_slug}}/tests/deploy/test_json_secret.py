"""Secrets are keys of one JSON secret: none is lost when two people edit them, and a deletion can be taken back."""

import json
from typing import Any

import pytest
from botocore.client import BaseClient
from moto.secretsmanager.models import SecretsManagerBackend

from tests.deploy.cloud import Cloud

VALUE = "correct horse battery staple"


@pytest.fixture(autouse=True)
def _moto_knows_what_is_current(monkeypatch: pytest.MonkeyPatch) -> None:
    """moto 5.2 takes PutSecretValue's last version for it, wherever UpdateSecretVersionStage moved AWSCURRENT."""
    move = SecretsManagerBackend.update_secret_version_stage

    def moved(self: Any, secret_id: str, version_stage: str, **versions: str) -> Any:
        answer = move(self, secret_id, version_stage, **versions)
        if version_stage == "AWSCURRENT":
            self.secrets[secret_id].set_default_version_id(versions["move_to_version_id"])
        return answer

    monkeypatch.setattr(SecretsManagerBackend, "update_secret_version_stage", moved)


def secret_id(cloud: Cloud) -> str:
    return cloud.name.removesuffix("-prod") + "/prod"


def stored(cloud: Cloud) -> dict[str, str]:
    """What the service would read."""
    got = cloud.client("secretsmanager").get_secret_value(SecretId=secret_id(cloud), VersionStage="AWSCURRENT")
    values: dict[str, str] = json.loads(got["SecretString"])
    return values


def after(monkeypatch: pytest.MonkeyPatch, operation: str, then: Any) -> None:
    """Calls `then` once, after the tool's first such call."""
    call = BaseClient._make_api_call  # type: ignore[attr-defined]
    ahead = [then]

    def watched(self: BaseClient, made: str, parameters: Any) -> Any:
        answer = call(self, made, parameters)
        if made == operation and ahead:
            ahead.pop()()
        return answer

    monkeypatch.setattr(BaseClient, "_make_api_call", watched)


def test_keys_are_set_beside_each_other_and_removed(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    for name, value in {"API_KEY": "old", "OTHER_KEY": 'grün "quoted"', "THIRD_KEY": "third"}.items():
        assert cloud.run("secret", "set", name, typed=value + "\n") == 0
    assert cloud.run("secret", "set", "API_KEY", typed="new") == 0
    assert stored(cloud) == {"API_KEY": "new", "OTHER_KEY": 'grün "quoted"', "THIRD_KEY": "third"}
    assert cloud.run("secret", "remove", "OTHER_KEY") == 0
    assert stored(cloud) == {"API_KEY": "new", "THIRD_KEY": "third"}
    assert cloud.run("secret", "remove", "OTHER_KEY") == 1
    capsys.readouterr()
    cloud.run("secret", "list")
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["API_KEY", "THIRD_KEY"]


@pytest.mark.parametrize("moment", ["GetSecretValue", "PutSecretValue"])
@pytest.mark.parametrize("other", ["API_KEY", "OTHER_KEY"])
def test_an_edit_that_somebody_else_made_meanwhile_is_kept(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, moment: str, other: str
) -> None:
    cloud.run("secret", "set", "FIRST_KEY", typed="first")
    after(monkeypatch, moment, lambda: cloud.run("secret", "set", other, typed="theirs"))
    assert cloud.run("secret", "set", "API_KEY", typed="ours") == 0
    assert stored(cloud) == {"FIRST_KEY": "first", other: "theirs"} | {"API_KEY": "ours"}


def test_the_very_first_two_at_once(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    call = BaseClient._make_api_call  # type: ignore[attr-defined]
    ahead = ["theirs"]

    def another_first(self: BaseClient, operation: str, parameters: Any) -> Any:
        if operation == "CreateSecret" and ahead:
            cloud.run("secret", "set", "OTHER_KEY", typed=ahead.pop())
        return call(self, operation, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", another_first)
    assert cloud.run("secret", "set", "API_KEY", typed="ours") == 0
    assert stored(cloud) == {"API_KEY": "ours", "OTHER_KEY": "theirs"}


def test_a_lost_answer_is_no_lost_edit(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore repeats a request without an answer; AWS then says that the version read is no longer current."""
    cloud.run("secret", "set", "API_KEY", typed="old")
    client = cloud.client("secretsmanager")
    call = BaseClient._make_api_call  # type: ignore[attr-defined]

    def repeated(self: BaseClient, operation: str, parameters: Any) -> Any:
        if operation == "UpdateSecretVersionStage":
            call(client, operation, parameters)
        return call(self, operation, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", repeated)
    assert cloud.run("secret", "set", "API_KEY", typed="new") == 0
    assert stored(cloud) == {"API_KEY": "new"}
    assert cloud.calls.count("PutSecretValue") == 1


def test_only_set_and_remove_read_values(cloud: Cloud) -> None:
    image = cloud.push_image()
    cloud.configure('secrets = ["API_KEY"]')
    cloud.run("secret", "set", "API_KEY", typed=VALUE)
    for arguments in (["secret", "list"], ["--image", image], ["status"]):
        assert cloud.run(*arguments) == 0
        assert "GetSecretValue" not in cloud.calls


def test_a_value_changed_by_other_means_makes_a_new_version(cloud: Cloud) -> None:
    image = cloud.push_image()
    cloud.configure('secrets = ["API_KEY"]')
    cloud.run("secret", "set", "API_KEY", typed="old")
    cloud.run("--image", image)
    rotated = json.dumps({"API_KEY": "new"})
    cloud.client("secretsmanager").put_secret_value(SecretId=secret_id(cloud), SecretString=rotated)
    assert cloud.run("--image", image) == 0
    assert cloud.live_version() == "2"


def test_what_has_no_room_is_refused(cloud: Cloud) -> None:
    assert cloud.run("secret", "set", "API_KEY", typed="x" * 65_536) == 2
    assert cloud.run("secret", "set", "API_KEY", typed="x" * 60_000) == 0
    assert cloud.run("secret", "set", "OTHER_KEY", typed="x" * 6_000) == 2
    assert list(stored(cloud)) == ["API_KEY"]


def test_more_keys_than_there_are_tags(cloud: Cloud) -> None:
    cloud.run("secret", "set", "API_KEY", typed="value")
    full = json.dumps({f"KEY_{number}": "value" for number in range(47)})
    cloud.client("secretsmanager").put_secret_value(SecretId=secret_id(cloud), SecretString=full)
    assert cloud.run("secret", "set", "KEY_46", typed="new") == 0
    assert cloud.run("secret", "set", "KEY_47", typed="value") == 2


@pytest.mark.parametrize("text", ["not JSON", '"text"', "[1, 2]"])
def test_what_is_no_json_object_is_left_alone(cloud: Cloud, capsys: pytest.CaptureFixture[str], text: str) -> None:
    cloud.run("secret", "set", "API_KEY", typed="value")
    cloud.client("secretsmanager").put_secret_value(SecretId=secret_id(cloud), SecretString=text)
    assert cloud.run("secret", "set", "API_KEY", typed=VALUE) == 1
    assert "does not hold a JSON object" in capsys.readouterr().err
    assert cloud.mutations == []


@pytest.mark.parametrize("deleted", [False, True])
def test_a_secret_that_is_not_ours_is_left_alone(
    cloud: Cloud, capsys: pytest.CaptureFixture[str], deleted: bool
) -> None:
    image = cloud.push_image()
    secrets = cloud.client("secretsmanager")
    secrets.create_secret(Name=secret_id(cloud), SecretString="theirs")
    if deleted:
        secrets.delete_secret(SecretId=secret_id(cloud))
    cloud.configure('secrets = ["API_KEY"]')
    for arguments in (["secret", "set", "API_KEY"], ["secret", "list"], ["--image", image], ["destroy", "--purge"]):
        assert cloud.run(*arguments, typed="value") == 1
        assert f"a secret named {secret_id(cloud)} that was not made by this tool" in capsys.readouterr().err
        assert cloud.mutations == []


def test_destroyed_it_can_be_brought_back(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    image = cloud.push_image()
    cloud.configure('secrets = ["API_KEY"]')
    cloud.run("secret", "set", "API_KEY", typed=VALUE)
    cloud.run("--image", image)
    assert cloud.run("destroy", typed=cloud.name) == 0
    shown = capsys.readouterr().out
    assert f"{secret_id(cloud)} (for 30 days it can be brought back)" in shown
    assert f"{secret_id(cloud)} can be brought back until" in shown
    assert shown.endswith("\n0 left\n")
    assert cloud.run("destroy") == 0
    assert cloud.mutations == []
    assert "--stage prod destroy --purge" in capsys.readouterr().out

    assert cloud.run("--image", image) == 1
    assert "Give it one: ./deploy.sh --stage prod secret set API_KEY" in capsys.readouterr().err
    assert cloud.mutations == []


def test_setting_a_key_brings_back_the_others(cloud: Cloud) -> None:
    cloud.run("secret", "set", "API_KEY", typed=VALUE)
    cloud.run("destroy", typed=cloud.name)
    assert cloud.run("secret", "remove", "API_KEY") == 1
    assert cloud.run("secret", "set", "OTHER_KEY", typed="other") == 0
    assert stored(cloud) == {"API_KEY": VALUE, "OTHER_KEY": "other"}


@pytest.mark.parametrize("first", [["destroy"], ["status"]], ids=["after destroy", "at once"])
def test_purged_it_is_gone(cloud: Cloud, capsys: pytest.CaptureFixture[str], first: list[str]) -> None:
    cloud.run("secret", "set", "API_KEY", typed=VALUE)
    cloud.run(*first, typed=cloud.name)
    capsys.readouterr()
    assert cloud.run("destroy", "--purge", typed=cloud.name) == 0
    shown = capsys.readouterr().out
    assert "brought back" not in shown
    assert shown.endswith("\n0 left\n")
    listed = cloud.client("secretsmanager").list_secrets(IncludePlannedDeletion=True)
    assert listed["SecretList"] == []
    assert cloud.run("secret", "set", "API_KEY", typed="new") == 0
    assert stored(cloud) == {"API_KEY": "new"}


def test_the_role_may_read_just_this_secret(cloud: Cloud) -> None:
    cloud.run("--image", cloud.push_image())
    policy = cloud.client("iam").get_role_policy(RoleName=cloud.name, PolicyName="service")["PolicyDocument"]
    (resource,) = [one["Resource"] for one in policy["Statement"] if one["Action"] == ["secretsmanager:GetSecretValue"]]
    cloud.run("secret", "set", "API_KEY", typed=VALUE)
    arn = cloud.client("secretsmanager").describe_secret(SecretId=secret_id(cloud))["ARN"]
    assert resource.removesuffix("??????") == arn[:-6]
