"""Secrets are keys of one JSON secret: none is lost when two people edit them, and a deletion can be taken back."""

import json
from collections.abc import Callable

import pytest

from tests.embedded_aws import Call
from tests.scene import NAME, Scene

pytestmark = pytest.mark.answers(secrets="secrets_manager")

VALUE = "correct horse battery staple"
STORED_AT = "my-api/prod"


def stored(scene: Scene) -> dict[str, str]:
    """What the service would read."""
    got = scene.aws.client("secretsmanager").get_secret_value(SecretId=STORED_AT, VersionStage="AWSCURRENT")
    values: dict[str, str] = json.loads(got["SecretString"])
    return values


def put(scene: Scene, text: str) -> None:
    """Somebody writes this into the secret by other means."""
    scene.aws.client("secretsmanager").put_secret_value(SecretId=STORED_AT, SecretString=text)


def around(scene: Scene, moment: str, operation: str, then: Callable[[], object]) -> None:
    """Calls `then` once, "before" or "after" the tool's first such call."""
    ahead = [then]

    def watch(call: Call, number: int, when: str) -> None:
        if (when, call.operation) == (moment, operation) and ahead:
            ahead.pop()()

    scene.aws.hook(watch)


def test_keys_are_set_beside_each_other_and_removed(scene: Scene) -> None:
    for name, value in {"API_KEY": "old", "OTHER_KEY": 'grün "quoted"', "THIRD_KEY": "third"}.items():
        assert scene.deploy("secret", "set", name, typed=value + "\n").code == 0
    assert scene.deploy("secret", "set", "API_KEY", typed="new").code == 0
    assert stored(scene) == {"API_KEY": "new", "OTHER_KEY": 'grün "quoted"', "THIRD_KEY": "third"}
    assert scene.deploy("secret", "remove", "OTHER_KEY").code == 0
    assert stored(scene) == {"API_KEY": "new", "THIRD_KEY": "third"}
    assert scene.deploy("secret", "remove", "OTHER_KEY").code == 1
    listed = scene.deploy("secret", "list").out
    assert [line.split()[0] for line in listed.splitlines()] == ["API_KEY", "THIRD_KEY"]


@pytest.mark.parametrize("moment", ["GetSecretValue", "PutSecretValue"])
@pytest.mark.parametrize("other", ["API_KEY", "OTHER_KEY"])
def test_an_edit_that_somebody_else_made_meanwhile_is_kept(scene: Scene, moment: str, other: str) -> None:
    scene.deploy("secret", "set", "FIRST_KEY", typed="first")
    around(scene, "after", moment, lambda: scene.deploy("secret", "set", other, typed="theirs"))
    assert scene.deploy("secret", "set", "API_KEY", typed="ours").code == 0
    assert stored(scene) == {"FIRST_KEY": "first", other: "theirs"} | {"API_KEY": "ours"}


def test_the_very_first_two_at_once(scene: Scene) -> None:
    around(scene, "before", "CreateSecret", lambda: scene.deploy("secret", "set", "OTHER_KEY", typed="theirs"))
    assert scene.deploy("secret", "set", "API_KEY", typed="ours").code == 0
    assert stored(scene) == {"API_KEY": "ours", "OTHER_KEY": "theirs"}


def test_a_lost_answer_is_no_lost_edit(scene: Scene) -> None:
    """botocore repeats a request without an answer; AWS then says that the version read is no longer current."""
    scene.deploy("secret", "set", "API_KEY", typed="old")
    scene.aws.fail("secretsmanager:UpdateSecretVersionStage", "reset_after")
    assert scene.deploy("secret", "set", "API_KEY", typed="new").code == 0
    assert stored(scene) == {"API_KEY": "new"}
    assert scene.calls.count("PutSecretValue") == 1


def test_only_set_and_remove_read_values(scene: Scene) -> None:
    scene.configure('secrets = ["API_KEY"]')
    scene.deploy("secret", "set", "API_KEY", typed=VALUE)
    for arguments in (["secret", "list"], ["--image", scene.images["old"]], ["status"]):
        assert scene.deploy(*arguments).code == 0
        assert "GetSecretValue" not in scene.calls


def test_a_value_changed_by_other_means_makes_a_new_version(scene: Scene) -> None:
    scene.configure('secrets = ["API_KEY"]')
    scene.deploy("secret", "set", "API_KEY", typed="old")
    scene.release("old")
    put(scene, json.dumps({"API_KEY": "new"}))
    assert scene.release("old").code == 0
    assert scene.live_version() == "2"


def test_what_has_no_room_is_refused(scene: Scene) -> None:
    assert scene.deploy("secret", "set", "API_KEY", typed="x" * 65_536).code == 2
    assert scene.deploy("secret", "set", "API_KEY", typed="x" * 60_000).code == 0
    assert scene.deploy("secret", "set", "OTHER_KEY", typed="x" * 6_000).code == 2
    assert list(stored(scene)) == ["API_KEY"]


def test_more_keys_than_there_are_tags(scene: Scene) -> None:
    scene.deploy("secret", "set", "API_KEY", typed="value")
    put(scene, json.dumps({f"KEY_{number}": "value" for number in range(47)}))
    assert scene.deploy("secret", "set", "KEY_46", typed="new").code == 0
    assert scene.deploy("secret", "set", "KEY_47", typed="value").code == 2


@pytest.mark.parametrize("text", ["not JSON", '"text"', "[1, 2]"])
def test_what_is_no_json_object_is_left_alone(scene: Scene, text: str) -> None:
    scene.deploy("secret", "set", "API_KEY", typed="value")
    put(scene, text)
    refused = scene.deploy("secret", "set", "API_KEY", typed=VALUE)
    assert refused.code == 1
    assert "does not hold a JSON object" in refused.err
    assert scene.mutations == []


@pytest.mark.parametrize("deleted", [False, True])
def test_a_secret_that_is_not_ours_is_left_alone(scene: Scene, deleted: bool) -> None:
    secrets = scene.aws.client("secretsmanager")
    secrets.create_secret(Name=STORED_AT, SecretString="theirs")
    if deleted:
        secrets.delete_secret(SecretId=STORED_AT)
    scene.configure('secrets = ["API_KEY"]')
    deploy = ["--image", scene.images["old"]]
    for arguments in (["secret", "set", "API_KEY"], ["secret", "list"], deploy, ["destroy", "--purge"]):
        refused = scene.deploy(*arguments, typed="value")
        assert refused.code == 1
        assert f"a secret named {STORED_AT} that was not made by this tool" in refused.err
        assert scene.mutations == []


def test_destroyed_it_can_be_brought_back(scene: Scene) -> None:
    scene.configure('secrets = ["API_KEY"]')
    scene.deploy("secret", "set", "API_KEY", typed=VALUE)
    scene.release("old")
    gone = scene.deploy("destroy", typed=NAME)
    assert gone.code == 0
    assert f"{STORED_AT} (for 30 days it can be brought back)" in gone.out
    assert f"{STORED_AT} can be brought back until" in gone.out
    assert gone.out.endswith("\n0 left\n")
    again = scene.deploy("destroy")
    assert again.code == 0
    assert scene.mutations == []
    assert "--stage prod destroy --purge" in again.out

    refused = scene.release("old")
    assert refused.code == 1
    assert "Give it one: ./deploy.sh --stage prod secret set API_KEY" in refused.err
    assert scene.mutations == []


def test_setting_a_key_brings_back_the_others(scene: Scene) -> None:
    scene.deploy("secret", "set", "API_KEY", typed=VALUE)
    scene.deploy("destroy", typed=NAME)
    assert scene.deploy("secret", "remove", "API_KEY").code == 1
    assert scene.deploy("secret", "set", "OTHER_KEY", typed="other").code == 0
    assert stored(scene) == {"API_KEY": VALUE, "OTHER_KEY": "other"}


@pytest.mark.parametrize("first", [["destroy"], ["status"]], ids=["after destroy", "at once"])
def test_purged_it_is_gone(scene: Scene, first: list[str]) -> None:
    scene.deploy("secret", "set", "API_KEY", typed=VALUE)
    scene.deploy(*first, typed=NAME)
    gone = scene.deploy("destroy", "--purge", typed=NAME)
    assert gone.code == 0
    assert "brought back" not in gone.out
    assert gone.out.endswith("\n0 left\n")
    listed = scene.aws.client("secretsmanager").list_secrets(IncludePlannedDeletion=True)
    assert listed["SecretList"] == []
    assert scene.deploy("secret", "set", "API_KEY", typed="new").code == 0
    assert stored(scene) == {"API_KEY": "new"}


def test_the_role_may_read_just_this_secret(scene: Scene) -> None:
    scene.release("old")
    policy = scene.aws.client("iam").get_role_policy(RoleName=NAME, PolicyName="service")["PolicyDocument"]
    (resource,) = [one["Resource"] for one in policy["Statement"] if one["Action"] == ["secretsmanager:GetSecretValue"]]
    scene.deploy("secret", "set", "API_KEY", typed=VALUE)
    arn = scene.aws.client("secretsmanager").describe_secret(SecretId=STORED_AT)["ARN"]
    assert resource.removesuffix("??????") == arn[:-6]
