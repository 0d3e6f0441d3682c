"""Test `vpc` in deploy.toml: functions are connected and disconnected, with the permissions that they need."""

import json

import pytest

from tests.support.deployed_stage import NAME, DeployedStage
from tests.support.subnets import default_security_group, make_subnet

WITH_AND_WITHOUT_MIGRATIONS = pytest.mark.parametrize(
    "functions", [1, pytest.param(2, marks=pytest.mark.answers(migrations="alembic"))]
)


def role_policy(stage: DeployedStage) -> str:
    return str(stage.aws.client("iam").get_role_policy(RoleName=NAME, PolicyName="service")["PolicyDocument"])


def networks(stage: DeployedStage) -> list[tuple[list[str], list[str]]]:
    """Return the subnets and security groups of each function."""
    functions = stage.aws.client("lambda").list_functions()["Functions"]
    configs = [function.get("VpcConfig", {}) for function in functions]
    return [(config.get("SubnetIds", []), config.get("SecurityGroupIds", [])) for config in configs]


@WITH_AND_WITHOUT_MIGRATIONS
def test_all_functions_are_connected_to_the_vpc_and_disconnected(stage: DeployedStage, functions: int) -> None:
    stage.release("old")
    assert "ec2:" not in role_policy(stage)
    ec2 = stage.aws.client("ec2")
    vpc, first = make_subnet(ec2)
    _, second = make_subnet(ec2, "10.0.1.0/24")
    subnets, groups = [first, second], [default_security_group(ec2, vpc)]
    stage.configure(f"vpc = {{ subnet_ids = {json.dumps(subnets)}, security_group_ids = {json.dumps(groups)} }}")
    assert stage.release("old").code == 0
    assert "ec2:CreateNetworkInterface" in role_policy(stage)
    assert networks(stage) == [(sorted(subnets, reverse=True), groups)] * functions
    stage.release("old")
    assert stage.mutations == []
    stage.project.edit("deploy.toml", "vpc = ", "# vpc = ")
    assert stage.release("old").code == 0
    assert networks(stage) == [([], [])] * functions
    assert "ec2:" in role_policy(stage)  # a rollback to the version in the VPC is still possible
    stage.aws.client("lambda").delete_function(FunctionName=NAME, Qualifier="2")
    assert stage.release("old").code == 0
    assert "ec2:" not in role_policy(stage)


@pytest.mark.parametrize(
    ("vpc", "error"),
    [
        ("{}", "vpc.subnet_ids: is missing.\nAdd vpc.subnet_ids to deploy.toml.\n"),
        (
            '{subnet_ids = ["vpc-1"], security_group_ids = ["sg-1"]}',
            "vpc.subnet_ids.0: must be the ID of a subnet; it is 'vpc-1'.\nCorrect vpc.subnet_ids.0 in deploy.toml.\n",
        ),
        (
            '{subnet_ids = ["subnet-1"], security_group_ids = []}',
            "vpc.security_group_ids: must have at least 1 item after validation, not 0; it is [].\n"
            "Correct vpc.security_group_ids in deploy.toml.\n",
        ),
    ],
)
def test_an_error_in_the_vpc_names_the_key(stage: DeployedStage, vpc: str, error: str) -> None:
    stage.configure(f"vpc = {vpc}")
    rejected = stage.deploy()
    assert (rejected.code, rejected.err) == (2, f"deploy.toml: {error}")
