"""Test the command `destroy`: it asks for confirmation and deletes all resources of a stage, and no others."""

import pytest

from tests.support.deploy_tool import remaining_resources
from tests.support.deployed_stage import NAME, DeployedStage


def test_destroy_deletes_every_resource_of_the_stage(stage: DeployedStage) -> None:
    stage.configure('alarm_email = "ops@example.com"')
    stage.release("old")
    destroyed = stage.deploy("destroy", typed=NAME)
    assert destroyed.code == 0
    assert destroyed.out.endswith("\n0 left\n")
    assert remaining_resources(stage.aws) == []
    repositories = stage.aws.client("ecr").describe_repositories()["repositories"]
    assert [repository["repositoryName"] for repository in repositories] == ["built-elsewhere"]

    again = stage.deploy("destroy")
    assert again.code == 0
    assert again.out.endswith("\nNothing to delete.\n0 left\n")
    assert stage.mutations == []


def test_a_role_with_policies_of_others_can_be_deleted(stage: DeployedStage) -> None:
    stage.release("old")
    iam = stage.aws.client("iam")
    deny = '{"Effect": "Deny", "Action": "s3:DeleteObject", "Resource": "*"}'
    document = '{"Version": "2012-10-17", "Statement": [' + deny + "]}"
    iam.put_role_policy(RoleName=NAME, PolicyName="more", PolicyDocument=document)
    policy = iam.create_policy(PolicyName="shared", PolicyDocument=document)["Policy"]["Arn"]
    iam.attach_role_policy(RoleName=NAME, PolicyArn=policy)
    assert stage.deploy("destroy", typed=NAME).code == 0
    assert iam.list_roles()["Roles"] == []
    assert iam.list_policies(Scope="Local")["Policies"]  # other roles may use it


@pytest.mark.parametrize("typed", ["", "yes", "my"])
def test_nothing_is_deleted_unless_the_name_is_typed(stage: DeployedStage, typed: str) -> None:
    stage.release("old")
    refused = stage.deploy("destroy", typed=typed)
    assert refused.code == 2
    assert refused.err == f"Nothing was deleted.\nTo delete these resources, type {NAME} when asked.\n"
    assert stage.mutations == []


def test_another_stage_keeps_its_resources(stage: DeployedStage) -> None:
    stage.release("old")
    stage.deploy("--stage", "dev", "--image", stage.images["old"])
    assert stage.deploy("destroy", typed=NAME).code == 0
    functions = stage.aws.client("lambda").list_functions()["Functions"]
    assert [function["FunctionName"] for function in functions] == ["my-api-dev"]
