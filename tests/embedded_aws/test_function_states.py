"""Test the states of a function: Pending, Active, Inactive, updates in progress, and the conflicts that they cause."""

from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from embedded_aws import Delays, EmbeddedAws, ManualClock
from tests.support.sample_function import NAME, SampleFunction, raises_client_error, send_request

NOT_NOW = "The operation cannot be performed at this time."


def test_a_new_function_is_pending_and_then_active(sample: SampleFunction) -> None:
    created = sample.client.create_function(**sample.definition())
    assert (created["State"], created["StateReasonCode"]) == ("Pending", "Creating")
    assert "LastUpdateStatus" not in created
    with raises_client_error(
        "ResourceConflictException", f"{NOT_NOW} The function is currently in the following state: Pending"
    ):
        sample.client.invoke(FunctionName=NAME)
    with raises_client_error("ResourceConflictException", "Pending"):
        sample.client.publish_version(FunctionName=NAME)
    sample.wait_until_ready()
    active = sample.configuration()
    assert (active["State"], active["LastUpdateStatus"]) == ("Active", "Successful")
    assert active["RevisionId"] != created["RevisionId"]


def test_boto3_waiters_wait_until_pending_states_end(tmp_path: Path) -> None:
    with EmbeddedAws() as aws:
        sample = SampleFunction(aws, tmp_path)
        role = sample.role(wait=False)
        aws.clock.advance(aws.delays.role_s)
        sample.client.create_function(**sample.definition(Role=role))
        config = {"Delay": 0.05, "MaxAttempts": 40}
        sample.client.get_waiter("function_active_v2").wait(FunctionName=NAME, WaiterConfig=config)
        sample.client.update_function_configuration(FunctionName=NAME, MemorySize=256)
        sample.client.get_waiter("function_updated_v2").wait(FunctionName=NAME, WaiterConfig=config)
        version = sample.client.publish_version(FunctionName=NAME)["Version"]
        waiter = sample.client.get_waiter("published_version_active")
        waiter.wait(FunctionName=NAME, Qualifier=version, WaiterConfig=config)


@pytest.mark.parametrize("call", ["code", "configuration", "publish"])
def test_a_change_during_an_update_is_a_conflict(sample: SampleFunction, call: str) -> None:
    sample.create()
    updating = sample.client.update_function_configuration(FunctionName=NAME, Timeout=5)
    assert updating["LastUpdateStatus"] == "InProgress"
    calls = {
        "code": lambda: sample.client.update_function_code(FunctionName=NAME, ImageUri=sample.image("")),
        "configuration": lambda: sample.client.update_function_configuration(FunctionName=NAME, Timeout=6),
        "publish": lambda: sample.client.publish_version(FunctionName=NAME),
    }
    arn = f"arn:aws:lambda:us-east-1:123456789012:function:{NAME}"
    with raises_client_error("ResourceConflictException", f"{NOT_NOW} An update is in progress for resource: {arn}"):
        calls[call]()
    sample.wait_until_ready()
    calls[call]()


def test_the_old_code_runs_until_an_update_has_finished(sample: SampleFunction) -> None:
    sample.create("def handler(event, context):\n    return 'old'\n")
    new = sample.image("def handler(event, context):\n    return 'new'\n")
    sample.client.update_function_code(FunctionName=NAME, ImageUri=new)
    assert sample.invoke().payload == "old"
    sample.wait_until_ready()
    assert sample.invoke().payload == "new"
    assert len(sample.aws.environments(NAME)) == 1


def test_an_outdated_revision_id_is_refused(sample: SampleFunction) -> None:
    sample.create()
    first = sample.configuration()["RevisionId"]
    with raises_client_error(
        "PreconditionFailedException", "The Revision Id provided does not match the latest Revision Id."
    ):
        sample.client.update_function_configuration(FunctionName=NAME, Timeout=5, RevisionId="other")
    updating = sample.client.update_function_configuration(FunctionName=NAME, Timeout=5, RevisionId=first)
    sample.wait_until_ready()
    updated = sample.configuration()["RevisionId"]
    assert len({first, updating["RevisionId"], updated}) == 3
    with raises_client_error("PreconditionFailedException"):
        sample.client.publish_version(FunctionName=NAME, RevisionId=updating["RevisionId"])
    version = sample.client.publish_version(FunctionName=NAME, RevisionId=updated)
    sample.wait_until_ready()
    assert sample.configuration("1")["RevisionId"] == version["RevisionId"]  # unlike that of $LATEST, when it is active
    assert sample.configuration()["RevisionId"] != updated  # publishing changes $LATEST


def test_a_new_role_cannot_be_assumed_for_some_seconds(sample: SampleFunction) -> None:
    definition = sample.definition(Role=sample.role(wait=False))
    message = "The role defined for the function cannot be assumed by Lambda."
    with raises_client_error("InvalidParameterValueException", message):
        sample.client.create_function(**definition)
    sample.wait_until_ready()
    sample.client.create_function(**definition)


@pytest.mark.parametrize("state", ["Deactivating", "Deactivated", "ActiveNonInvocable", "Deleting", "Hibernating"])
def test_a_function_that_is_not_active_can_be_neither_invoked_nor_changed(sample: SampleFunction, state: str) -> None:
    """The states of botocore's service model, and one that AWS may add."""
    sample.create()
    sample.aws.set_state(NAME, "$LATEST", state, "DependencyError")
    config = sample.configuration()
    assert (config["State"], config["StateReasonCode"]) == (state, "DependencyError")
    message = f"{NOT_NOW} The function is currently in the following state: {state}"
    for call in (
        sample.invoke,
        lambda: sample.client.update_function_configuration(FunctionName=NAME, Timeout=5),
        lambda: sample.client.publish_version(FunctionName=NAME),
    ):
        with raises_client_error("ResourceConflictException", message):
            call()
    sample.aws.set_state(NAME, "$LATEST", "")
    assert sample.invoke().error == ""


def test_a_function_can_be_deleted_asynchronously(tmp_path: Path) -> None:
    """The state Deleting in botocore's service model."""
    with EmbeddedAws(clock=ManualClock(), delays=Delays(delete_s=30)) as aws:
        sample = SampleFunction(aws, tmp_path)
        url = sample.public_url()
        definition = sample.definition(Role=sample.configuration()["Role"])
        for _ in range(2):
            assert sample.client.delete_function(FunctionName=NAME)["StatusCode"] == 202
        assert sample.configuration()["State"] == "Deleting"
        assert send_request(url)[0] == 502
        with raises_client_error("ResourceConflictException", "Function already exist"):
            sample.client.create_function(**definition)
        aws.clock.advance(30)
        with raises_client_error("ResourceNotFoundException"):
            sample.configuration()
        with pytest.raises(ConnectionRefusedError):
            send_request(url)
        sample.client.create_function(**definition)


def test_kms_does_not_know_a_new_role_for_some_seconds(sample: SampleFunction) -> None:
    """aws/chalice#1069, hashicorp/terraform-provider-aws#4633"""
    variables = {"Variables": {"STAGE": "prod"}}
    definition = sample.definition(Role=sample.role(wait=False), Environment=variables)
    message = "ARN does not refer to a valid principal: arn:aws:sts::123456789012:assumed-role/sample/sample"
    with raises_client_error("InvalidParameterValueException", message):
        sample.client.create_function(**definition)
    sample.aws.clock.advance(sample.aws.delays.role_s / 2)
    with raises_client_error("InvalidParameterValueException", "cannot be assumed by Lambda"):
        sample.client.create_function(**definition)
    sample.wait_until_ready()
    sample.client.create_function(**definition)
    sample.wait_until_ready()
    other = sample.role("other", wait=False)
    with raises_client_error("InvalidParameterValueException", "ARN does not refer to a valid principal"):
        sample.client.update_function_configuration(FunctionName=NAME, Role=other)


def test_a_function_becomes_inactive_when_its_image_is_deleted(sample: SampleFunction) -> None:
    sample.create()
    digest = "sha256:" + sample.configuration()["CodeSha256"]
    sample.aws.client("ecr").batch_delete_image(repositoryName=NAME, imageIds=[{"imageDigest": digest}])
    assert (sample.configuration()["State"], sample.configuration()["StateReasonCode"]) == ("Inactive", "ImageDeleted")
    with pytest.raises(ClientError):
        sample.invoke()
