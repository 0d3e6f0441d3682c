"""Test secrets in Secrets Manager: one JSON secret, which several people can edit and which can be restored."""

import json
from collections.abc import Callable

import pytest

from embedded_aws import Call
from tests.support.deployed_stage import NAME, DeployedStage

pytestmark = pytest.mark.answers(secrets="secrets_manager")

VALUE = "correct horse battery staple"
NAME_IN_AWS = "my-api/prod"


def stored_values(stage: DeployedStage) -> dict[str, str]:
    """Return what the service would read."""
    secret = stage.aws.client("secretsmanager").get_secret_value(SecretId=NAME_IN_AWS, VersionStage="AWSCURRENT")
    values: dict[str, str] = json.loads(secret["SecretString"])
    return values


def put(stage: DeployedStage, text: str) -> None:
    """Write a value without the deploy tool."""
    stage.aws.client("secretsmanager").put_secret_value(SecretId=NAME_IN_AWS, SecretString=text)


def run_once(stage: DeployedStage, when: str, operation: str, action: Callable[[], object]) -> None:
    """Run `action` once, "before" or "after" the first call of this operation."""
    actions = [action]

    def watch(call: Call, number: int, moment: str) -> None:
        if (moment, call.operation) == (when, operation) and actions:
            actions.pop()()

    stage.aws.hook(watch)


def test_setting_or_removing_a_key_keeps_the_others(stage: DeployedStage) -> None:
    for name, value in {"API_KEY": "old", "OTHER_KEY": 'grün "quoted"', "THIRD_KEY": "third"}.items():
        assert stage.deploy("secret", "set", name, typed=value + "\n").code == 0
    assert stage.deploy("secret", "set", "API_KEY", typed="new").code == 0
    assert stored_values(stage) == {"API_KEY": "new", "OTHER_KEY": 'grün "quoted"', "THIRD_KEY": "third"}
    assert stage.deploy("secret", "remove", "OTHER_KEY").code == 0
    assert stored_values(stage) == {"API_KEY": "new", "THIRD_KEY": "third"}
    assert stage.deploy("secret", "remove", "OTHER_KEY").code == 1
    listed = stage.deploy("secret", "list").out
    assert [line.split()[0] for line in listed.splitlines()] == ["API_KEY", "THIRD_KEY"]


@pytest.mark.parametrize("operation", ["UntagResource", "PutSecretValue", "UpdateSecretVersionStage"])
def test_an_interrupted_removal_can_be_repeated(stage: DeployedStage, operation: str) -> None:
    for name in ("API_KEY", "OTHER_KEY"):
        stage.deploy("secret", "set", name, typed="value")
    stage.aws.fail(f"secretsmanager:{operation}", "deny")
    assert stage.deploy("secret", "remove", "OTHER_KEY").code == 1
    assert stage.deploy("secret", "remove", "OTHER_KEY").code == 0
    assert stored_values(stage) == {"API_KEY": "value"}
    assert [line.split()[0] for line in stage.deploy("secret", "list").out.splitlines()] == ["API_KEY"]


def test_the_tag_of_a_key_that_somebody_else_removed_is_removed(stage: DeployedStage) -> None:
    stage.deploy("secret", "set", "API_KEY", typed="value")
    put(stage, "{}")
    assert stage.deploy("secret", "remove", "API_KEY").code == 1
    assert "API_KEY" not in stage.deploy("secret", "list").out


@pytest.mark.parametrize("operation", ["GetSecretValue", "PutSecretValue"])
@pytest.mark.parametrize("other", ["API_KEY", "OTHER_KEY"])
def test_a_concurrent_edit_of_somebody_else_is_kept(stage: DeployedStage, operation: str, other: str) -> None:
    stage.deploy("secret", "set", "FIRST_KEY", typed="first")
    run_once(stage, "after", operation, lambda: stage.deploy("secret", "set", other, typed="theirs"))
    assert stage.deploy("secret", "set", "API_KEY", typed="ours").code == 0
    assert stored_values(stage) == {"FIRST_KEY": "first", other: "theirs"} | {"API_KEY": "ours"}


def test_two_people_can_create_the_secret_at_the_same_time(stage: DeployedStage) -> None:
    run_once(stage, "before", "CreateSecret", lambda: stage.deploy("secret", "set", "OTHER_KEY", typed="theirs"))
    assert stage.deploy("secret", "set", "API_KEY", typed="ours").code == 0
    assert stored_values(stage) == {"API_KEY": "ours", "OTHER_KEY": "theirs"}


def test_an_edit_succeeds_even_if_its_response_is_lost(stage: DeployedStage) -> None:
    """botocore repeats the call. AWS then responds that the version is no longer current."""
    stage.deploy("secret", "set", "API_KEY", typed="old")
    stage.aws.fail("secretsmanager:UpdateSecretVersionStage", "reset_after")
    assert stage.deploy("secret", "set", "API_KEY", typed="new").code == 0
    assert stored_values(stage) == {"API_KEY": "new"}
    assert stage.calls.count("PutSecretValue") == 1


def test_only_secret_set_and_remove_read_values(stage: DeployedStage) -> None:
    stage.configure('secrets = ["API_KEY"]')
    stage.deploy("secret", "set", "API_KEY", typed=VALUE)
    for arguments in (["secret", "list"], ["--image", stage.images["old"]], ["status"]):
        assert stage.deploy(*arguments).code == 0
        assert "GetSecretValue" not in stage.calls


def test_a_value_that_was_changed_without_the_tool_becomes_a_new_version(stage: DeployedStage) -> None:
    stage.configure('secrets = ["API_KEY"]')
    stage.deploy("secret", "set", "API_KEY", typed="old")
    stage.release("old")
    put(stage, json.dumps({"API_KEY": "new"}))
    assert stage.release("old").code == 0
    assert stage.live_version() == "2"


def test_values_that_do_not_fit_into_the_secret_are_rejected(stage: DeployedStage) -> None:
    full = f"{NAME_IN_AWS} is full: a secret holds up to 47 keys and 65,536 bytes.\nRemove keys you do not need.\n"
    rejected = stage.deploy("secret", "set", "API_KEY", typed="x" * 65_536)
    assert (rejected.code, rejected.err) == (2, full)
    assert stage.deploy("secret", "set", "API_KEY", typed="x" * 60_000).code == 0
    rejected = stage.deploy("secret", "set", "OTHER_KEY", typed="x" * 6_000)
    assert (rejected.code, rejected.err) == (2, full)
    assert list(stored_values(stage)) == ["API_KEY"]


def test_a_secret_has_at_most_47_keys(stage: DeployedStage) -> None:
    """A secret can have 50 tags. The tool needs one for each key, and three others."""
    stage.deploy("secret", "set", "API_KEY", typed="value")
    put(stage, json.dumps({f"KEY_{number}": "value" for number in range(47)}))
    assert stage.deploy("secret", "set", "KEY_46", typed="new").code == 0
    rejected = stage.deploy("secret", "set", "KEY_47", typed="value")
    assert rejected.code == 2
    assert f"{NAME_IN_AWS} is full: a secret holds up to 47 keys" in rejected.err


@pytest.mark.parametrize("text", ["not JSON", '"text"', "[1, 2]"])
def test_a_value_that_is_not_a_json_object_is_not_overwritten(stage: DeployedStage, text: str) -> None:
    stage.deploy("secret", "set", "API_KEY", typed="value")
    put(stage, text)
    refused = stage.deploy("secret", "set", "API_KEY", typed=VALUE)
    assert refused.code == 1
    assert refused.err == f"{NAME_IN_AWS} is not a JSON object.\nMake it one in the AWS console.\n"
    assert stage.mutations == []


@pytest.mark.parametrize("deleted", [False, True])
def test_a_secret_of_somebody_else_is_not_changed(stage: DeployedStage, deleted: bool) -> None:
    secrets = stage.aws.client("secretsmanager")
    secrets.create_secret(Name=NAME_IN_AWS, SecretString="theirs")
    if deleted:
        secrets.delete_secret(SecretId=NAME_IN_AWS)
    stage.configure('secrets = ["API_KEY"]')
    deploy = ["--image", stage.images["old"]]
    for arguments in (["secret", "set", "API_KEY"], ["secret", "list"], deploy, ["destroy", "--purge"]):
        refused = stage.deploy(*arguments, typed="value")
        assert refused.code == 1
        assert refused.err == (
            f"The secret {NAME_IN_AWS} already exists, but this tool did not create it for this stage.\n"
            "Choose another name in deploy.toml or another --stage, or delete it.\n"
        )
        assert stage.mutations == []


def test_destroy_says_until_when_the_secret_can_be_restored(stage: DeployedStage) -> None:
    stage.configure('secrets = ["API_KEY"]')
    stage.deploy("secret", "set", "API_KEY", typed=VALUE)
    stage.release("old")
    destroyed = stage.deploy("destroy", typed=NAME)
    assert destroyed.code == 0
    recovery = "can be restored for 30 days with ./deploy.sh secret set"
    assert f"\n  secret                  {NAME_IN_AWS} ({recovery})\n" in destroyed.out
    deleted = stage.aws.client("secretsmanager").describe_secret(SecretId=NAME_IN_AWS)["DeletedDate"]
    note = (
        f"\n{NAME_IN_AWS} {recovery} (until {deleted:%Y-%m-%d}).\n"
        "To delete it for good: ./deploy.sh destroy --purge\n0 left\n"
    )
    assert destroyed.out.endswith(note)
    again = stage.deploy("destroy")
    assert again.code == 0
    assert again.out.endswith(f"\nNothing to delete.{note}")
    assert stage.mutations == []

    refused = stage.release("old")
    assert refused.code == 1
    assert refused.err == (
        "The secret API_KEY, listed in deploy.toml, has no value in stage prod.\n"
        "Set it: ./deploy.sh --stage prod secret set API_KEY\n"
    )
    assert stage.mutations == []


def test_setting_a_key_restores_the_others(stage: DeployedStage) -> None:
    stage.deploy("secret", "set", "API_KEY", typed=VALUE)
    stage.deploy("destroy", typed=NAME)
    assert stage.deploy("secret", "remove", "API_KEY").code == 1
    assert stage.deploy("secret", "set", "OTHER_KEY", typed="other").code == 0
    assert stored_values(stage) == {"API_KEY": VALUE, "OTHER_KEY": "other"}


@pytest.mark.parametrize("first", [["destroy"], ["status"]], ids=["after destroy", "without destroy"])
def test_a_purged_secret_cannot_be_restored(stage: DeployedStage, first: list[str]) -> None:
    stage.deploy("secret", "set", "API_KEY", typed=VALUE)
    stage.deploy(*first, typed=NAME)
    purged = stage.deploy("destroy", "--purge", typed=NAME)
    assert purged.code == 0
    assert "restored" not in purged.out
    assert purged.out.endswith(f"deleted secret {NAME_IN_AWS}\n0 left\n")
    listed = stage.aws.client("secretsmanager").list_secrets(IncludePlannedDeletion=True)
    assert listed["SecretList"] == []
    assert stage.deploy("secret", "set", "API_KEY", typed="new").code == 0
    assert stored_values(stage) == {"API_KEY": "new"}


def test_the_role_can_read_only_this_secret(stage: DeployedStage) -> None:
    stage.release("old")
    policy = stage.aws.client("iam").get_role_policy(RoleName=NAME, PolicyName="service")["PolicyDocument"]
    action = ["secretsmanager:GetSecretValue"]
    (resources,) = [statement["Resource"] for statement in policy["Statement"] if statement["Action"] == action]
    stage.deploy("secret", "set", "API_KEY", typed=VALUE)
    arn = stage.aws.client("secretsmanager").describe_secret(SecretId=NAME_IN_AWS)["ARN"]
    assert resources == [f"{arn[:-6]}??????"]
