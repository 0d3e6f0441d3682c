"""Test that no IAM permission of a service, or of the roles with which GitHub deploys, is a known security risk.

cloudsplaining finds the risks with the lists of AWS actions that it contains, so it needs no network. It cannot be
installed on Python 3.15, because a package that it needs has no wheel.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from embedded_aws import EmbeddedAws, ManualClock
from scripts.projects import COMBINATIONS, Answers, combination_name
from tests.support.bake import Bake
from tests.support.deploy_tool import DeployTool
from tests.support.deployed_stage import task_root
from tests.support.permissions import Policy, list_policies
from tests.support.subnets import default_security_group, make_subnet


def import_scanner(name: str) -> Any:
    """Import a module of cloudsplaining, or skip all tests of this module if it is not installed."""
    return pytest.importorskip(
        f"cloudsplaining.scan.{name}", reason="cloudsplaining cannot be installed on Python 3.15"
    )


Finding = tuple[str, str]  # the risk, and the action or principal

# Lambda needs them to connect a function to a VPC. AWS recommends to allow them on all resources, because the network
# interfaces do not exist yet (docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html).
NETWORK_ACTIONS = [
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses",
]
VPC_FINDINGS = {
    (risk, action)
    for risk in ("infrastructure_modification", "write_actions_without_constraints")
    for action in NETWORK_ACTIONS
}
# `auth = "none"` in deploy.toml makes the URL public. A condition limits InvokeFunction to calls through the URL, but
# the scanner does not know that condition; tests/service/test_security.py tests it.
PUBLIC_URL_FINDINGS = {
    ("internet_accessible_actions", "lambda:InvokeFunctionUrl"),
    ("internet_accessible_actions", "lambda:InvokeFunction"),
}
# docker needs it to log in, and AWS supports it only for all resources.
PUSH_FINDINGS = {("credentials_exposure", "ecr:GetAuthorizationToken")}
FUNCTION_ROLE_FINDINGS = {("role_assumable_by_compute_services", "lambda")}
SCANNERS = {
    "role": import_scanner("policy_document").PolicyDocument,
    "trust": import_scanner("assume_role_policy_document").AssumeRolePolicyDocument,
    "resource": import_scanner("resource_policy_document").ResourcePolicyDocument,
}
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


def test_a_public_url_has_no_unexpected_risk(bake: Bake, tmp_path: Path) -> None:
    policies = deploy_and_list_policies(bake, tmp_path, COMBINATIONS[0])
    assert scan(policies) == PUBLIC_URL_FINDINGS | FUNCTION_ROLE_FINDINGS


def test_an_api_with_a_database_in_a_vpc_has_no_unexpected_risk(bake: Bake, tmp_path: Path) -> None:
    policies = deploy_and_list_policies(bake, tmp_path, COMBINATIONS[-1])
    assert scan(policies) == VPC_FINDINGS | FUNCTION_ROLE_FINDINGS


@pytest.mark.parametrize("answers", [COMBINATIONS[0], COMBINATIONS[-1]], ids=combination_name)
def test_the_roles_of_github_have_no_unexpected_risk(bake: Bake, answers: Answers) -> None:
    with EmbeddedAws(clock=ManualClock()) as aws:
        assert DeployTool(bake(**answers), aws)("github", "octo-org/my-api").code == 0
        assert scan(list(list_policies(aws))) == PUSH_FINDINGS


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
def test_the_scanner_finds_a_risk(kind: str, statement: dict[str, Any], risk: str) -> None:
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow"} | statement]}
    assert risk in {name for name, _ in scan([(kind, document)])}


def scan(policies: list[Policy]) -> set[Finding]:
    return {
        (risk, finding if isinstance(finding, str) else json.dumps(finding))
        for kind, document in policies
        for risk in RISKS[kind]
        for finding in getattr(SCANNERS[kind](document), risk)
    }


def deploy_and_list_policies(bake: Bake, folder: Path, answers: Answers) -> list[Policy]:
    """Deploy a service with an alarm topic and, if it has a database, a VPC. Return all policies of the account."""
    project = bake(**answers).copy(folder)
    project.edit("deploy.toml", 'alarm_email = ""', 'alarm_email = "ops@example.com"')
    with EmbeddedAws(clock=ManualClock()) as aws:
        if answers["migrations"] == "alembic":
            ec2 = aws.client("ec2")
            vpc, subnet = make_subnet(ec2)
            group = default_security_group(ec2, vpc)
            network = f'vpc = {{ subnet_ids = ["{subnet}"], security_group_ids = ["{group}"] }}\n'
            project.edit("deploy.toml", 'name = "my-api"\n', f'name = "my-api"\n{network}')
        deploy = DeployTool(project, aws)
        deploy("secret", "set", "DATABASE_URL", typed="postgresql://nowhere")
        run = deploy("--image", aws.push_image("built-elsewhere", task_root(folder / "roots", "ok")))
        assert run.code == 0, run.err
        policies = list(list_policies(aws))
        assert {kind for kind, _ in policies} == set(SCANNERS)
        return policies
