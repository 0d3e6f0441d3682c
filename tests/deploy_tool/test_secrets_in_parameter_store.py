"""Test secrets in the Parameter Store: encrypted, of limited length, and deleted by destroy."""

import pytest

from tests.support.deployed_stage import NAME, DeployedStage

VALUE = "correct horse battery staple"
PARAMETER = "/my-api/prod/API_KEY"


def test_a_value_is_stored_encrypted(stage: DeployedStage) -> None:
    assert stage.deploy("secret", "set", "API_KEY", typed=VALUE + "\n").code == 0
    stored = stage.aws.client("ssm").get_parameter(Name=PARAMETER, WithDecryption=True)["Parameter"]
    assert (stored["Value"], stored["Type"]) == (VALUE, "SecureString")


def test_a_value_that_is_too_long_is_rejected(stage: DeployedStage) -> None:
    rejected = stage.deploy("secret", "set", "API_KEY", typed="x" * 4097)
    assert rejected.code == 2
    assert rejected.err == "The value of API_KEY is too long.\nUse at most 4,096 bytes.\n"
    assert stage.mutations == []


def test_a_parameter_of_somebody_else_is_not_changed(stage: DeployedStage) -> None:
    ssm = stage.aws.client("ssm")
    ssm.put_parameter(Name=PARAMETER, Value="theirs", Type="SecureString")
    refused = stage.deploy("secret", "set", "API_KEY", typed=VALUE)
    assert refused.code == 1
    assert refused.err == (
        f"A parameter {PARAMETER} already exists, but this tool did not create it.\n"
        "Delete it, or choose another name.\n"
    )
    assert stage.deploy("secret", "remove", "API_KEY").code == 1
    stage.release("old")
    assert stage.deploy("destroy", typed=NAME).code == 0
    assert ssm.get_parameter(Name=PARAMETER, WithDecryption=True)["Parameter"]["Value"] == "theirs"


@pytest.mark.parametrize("listed", ["[]", '["API_KEY"]'])
def test_destroy_deletes_all_parameters_of_the_stage(stage: DeployedStage, listed: str) -> None:
    stage.configure(f"secrets = {listed}")
    for name in ("API_KEY", "OTHER_KEY"):
        stage.deploy("secret", "set", name, typed=VALUE)
    stage.release("old")
    destroyed = stage.deploy("destroy", typed=NAME)
    assert destroyed.out.endswith("\n0 left\n")
    assert stage.aws.client("ssm").describe_parameters()["Parameters"] == []
