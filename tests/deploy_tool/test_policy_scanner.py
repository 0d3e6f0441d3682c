"""Does a scanner of IAM policies find anything in what a deploy makes, but for what is meant to be so?

cloudsplaining judges by AWS's own lists of actions, which it carries with it: nothing is asked of a network.
"""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cloudsplaining.scan.assume_role_policy_document import AssumeRolePolicyDocument
from cloudsplaining.scan.policy_document import PolicyDocument
from cloudsplaining.scan.resource_policy_document import ResourcePolicyDocument

from embedded_aws import EmbeddedAws, ManualClock
from embedded_aws.ec2.vpc import make_subnet
from scripts.projects import COMBINATIONS, Answers, combination_name
from tests.support.bake import Bake
from tests.support.deploy_tool import DeployTool
from tests.support.deployed_stage import task_root

Findings = set[tuple[str, str]]  # the risk, and the action or principal
Policy = tuple[str, Any]  # whose it is (role, trust, resource), and the document

# Lambda needs them to connect a function to a VPC, and AWS says to allow them on *: what they are to be used on is not
# there yet, or has no name known before (docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html).
NETWORK = [
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses",
]
IN_A_VPC = {
    (risk, action)
    for risk in ("infrastructure_modification", "write_actions_without_constraints")
    for action in NETWORK
}
# `auth = "none"`, which deploy.toml says and the README explains. InvokeFunction is for calls through the URL only, by
# a condition that the scanner does not know (test_security.py shows that nobody else may).
PUBLIC = {
    ("internet_accessible_actions", "lambda:InvokeFunctionUrl"),
    ("internet_accessible_actions", "lambda:InvokeFunction"),
}
PUSHING = {("credentials_exposure", "ecr:GetAuthorizationToken")}  # by which docker signs in; AWS allows it on * only
LAMBDA_ITSELF = {("role_assumable_by_compute_services", "lambda")}  # the role is the function's
SCANS = {"role": PolicyDocument, "trust": AssumeRolePolicyDocument, "resource": ResourcePolicyDocument}
RISKS = {
    "role": [
        "allows_data_exfiltration_actions",
        "allows_privilege_escalation",
        "contains_statement_using_not_action",
        "credentials_exposure",
        "infrastructure_modification",
        "permissions_management_without_constraints",
        "service_wildcard",
        "tagging_actions_without_constraints",
        "write_actions_without_constraints",
    ],
    "trust": [
        "role_assumable_by_any_principal",
        "role_assumable_by_any_principal_with_conditions",
        "role_assumable_by_compute_services",
        "role_assumable_by_cross_account_principals",
    ],
    "resource": ["internet_accessible_actions"],
}


def test_a_public_url(bake: Bake, tmp_path: Path) -> None:
    found = findings(deployed(bake, tmp_path, COMBINATIONS[0]))
    assert found == PUBLIC | LAMBDA_ITSELF


def test_an_api_and_a_database_in_a_vpc(bake: Bake, tmp_path: Path) -> None:
    found = findings(deployed(bake, tmp_path, COMBINATIONS[-1]))
    assert found == IN_A_VPC | LAMBDA_ITSELF


@pytest.mark.parametrize("answers", [COMBINATIONS[0], COMBINATIONS[-1]], ids=combination_name)
def test_the_roles_of_github(bake: Bake, answers: Answers) -> None:
    with EmbeddedAws(clock=ManualClock()) as aws:
        assert DeployTool(bake(**answers), aws)("github", "octo-org/my-api").code == 0
        assert findings(list(policies(aws))) == PUSHING


@pytest.mark.parametrize(
    ("kind", "statement", "risk"),
    [
        ("role", {"Action": "ssm:*", "Resource": "*"}, "service_wildcard"),
        ("role", {"Action": "ssm:GetParameter", "Resource": "*"}, "allows_data_exfiltration_actions"),
        ("role", {"Action": "iam:PutRolePolicy", "Resource": "*"}, "permissions_management_without_constraints"),
        ("trust", {"Action": "sts:AssumeRole", "Principal": {"AWS": "*"}}, "role_assumable_by_any_principal"),
        ("resource", {"Action": "sns:Publish", "Principal": "*", "Resource": "*"}, "internet_accessible_actions"),
    ],
)
def test_the_scanner_notices(kind: str, statement: dict[str, Any], risk: str) -> None:
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow"} | statement]}
    assert risk in {found for found, _ in findings([(kind, document)])}


def findings(policies: list[Policy]) -> Findings:
    return {
        (risk, found if isinstance(found, str) else json.dumps(found))
        for kind, document in policies
        for risk in RISKS[kind]
        for found in getattr(SCANS[kind](document), risk)
    }


def deployed(bake: Bake, folder: Path, answers: dict[str, str]) -> list[Policy]:
    """The policies there are after a deploy with an alarm topic and, where there can be one, a VPC."""
    project = bake(**answers).copy(folder)
    project.edit("deploy.toml", 'alarm_email = ""', 'alarm_email = "ops@example.com"')
    with EmbeddedAws(clock=ManualClock()) as aws:
        if answers["migrations"] == "alembic":
            _, subnet = make_subnet(aws.client("ec2"))
            network = f'vpc = {{ subnet_ids = ["{subnet}"], security_group_ids = ["sg-1"] }}\n'
            project.edit("deploy.toml", 'name = "my-api"\n', f'name = "my-api"\n{network}')
        deploy = DeployTool(project, aws)
        deploy("secret", "set", "DATABASE_URL", typed="postgresql://nowhere")
        run = deploy("--image", aws.push_image("built-elsewhere", task_root(folder / "roots", "ok")))
        assert run.code == 0, run.err
        found = list(policies(aws))
        assert {kind for kind, _ in found} == set(SCANS)
        return found


def policies(aws: EmbeddedAws) -> Iterator[Policy]:
    """Every policy in the account, of whatever can have one."""
    iam, functions, sns = aws.client("iam"), aws.client("lambda"), aws.client("sns")
    for role in iam.list_roles()["Roles"]:
        yield "trust", role["AssumeRolePolicyDocument"]
        for name in iam.list_role_policies(RoleName=role["RoleName"])["PolicyNames"]:
            yield "role", iam.get_role_policy(RoleName=role["RoleName"], PolicyName=name)["PolicyDocument"]
    for function in functions.list_functions()["Functions"]:
        for qualifier in ("$LATEST", "live"):
            options = {} if qualifier == "$LATEST" else {"Qualifier": qualifier}
            with contextlib.suppress(functions.exceptions.ResourceNotFoundException):
                told = functions.get_policy(FunctionName=function["FunctionName"], **options)
                yield "resource", json.loads(told["Policy"])
    for topic in sns.list_topics()["Topics"]:
        told = sns.get_topic_attributes(TopicArn=topic["TopicArn"])["Attributes"]
        yield "resource", json.loads(told["Policy"])
    for policy in aws.client("logs").describe_resource_policies()["resourcePolicies"]:
        yield "resource", json.loads(policy["policyDocument"])
    ecr = aws.client("ecr")
    for repository in ecr.describe_repositories()["repositories"]:
        with contextlib.suppress(ecr.exceptions.RepositoryPolicyNotFoundException):
            told = ecr.get_repository_policy(repositoryName=repository["repositoryName"])
            yield "resource", json.loads(told["policyText"])
