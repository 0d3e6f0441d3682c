"""Test the IAM permissions of a service: superfluous and missing ones are noticed, and none is a known security risk.

test_every_combination.py compares the permissions with their use in every combination, and this module checks that the
comparison works. test_github_role.py tests the permissions of the roles with which GitHub deploys.

cloudsplaining finds the risks with the lists of AWS actions that it contains, so it needs no network.
"""

import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from cloudsplaining.scan.assume_role_policy_document import AssumeRolePolicyDocument
from cloudsplaining.scan.policy_document import PolicyDocument
from cloudsplaining.scan.resource_policy_document import ResourcePolicyDocument

from embedded_aws import EmbeddedAws, ManualClock
from embedded_aws.ec2.vpc import make_subnet
from scripts.project_changes import add_secret
from scripts.projects import COMBINATIONS, Answers, Project, combination_name
from tests.support.bake import Bake
from tests.support.deploy_tool import DeployTool, push_image
from tests.support.deployed_stage import task_root
from tests.support.permissions import Grant, Policy, list_grants, list_policies, missing, unused

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
SCANNERS = {"role": PolicyDocument, "trust": AssumeRolePolicyDocument, "resource": ResourcePolicyDocument}
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


# Used permissions


def test_a_superfluous_and_a_missing_permission_are_noticed(bake: Bake, tmp_path: Path) -> None:
    project = add_secret(bake().copy(tmp_path))
    needed, superfluous = "ssm:GetParameters", "ssm:GetParametersByPath"
    project.edit("deploy/resources/parameters.py", '"GetParameters"', '"GetParameters GetParametersByPath"')
    grants, used = deploy_and_use(project)
    assert {action for _, action, _ in unused(grants, used)} == {superfluous}
    fewer = {grant for grant in grants if grant[1] != needed}
    assert {action for _, action, _ in missing(fewer, used)} == {needed}
    of_another_stage = {(role, action, resource.replace("prod", "dev")) for role, action, resource in grants}
    assert {action for _, action, _ in missing(of_another_stage, used)} == {action for _, action, _ in used}


def deploy_and_use(project: Project) -> tuple[set[Grant], set[Grant]]:
    """Deploy a service and send it a request. Return what its roles allow, and what they were used for."""
    with EmbeddedAws() as aws:
        deploy = DeployTool(project, aws)
        deploy("secret", "set", "API_KEY", typed="value")
        run = deploy("--image", push_image(project, aws))
        assert run.code == 0, run.err
        urllib.request.urlopen(run.url + "mark", timeout=30).close()
        return list_grants(aws), aws.used_by_roles


# Risks


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
            _, subnet = make_subnet(aws.client("ec2"))
            network = f'vpc = {{ subnet_ids = ["{subnet}"], security_group_ids = ["sg-1"] }}\n'
            project.edit("deploy.toml", 'name = "my-api"\n', f'name = "my-api"\n{network}')
        deploy = DeployTool(project, aws)
        deploy("secret", "set", "DATABASE_URL", typed="postgresql://nowhere")
        run = deploy("--image", aws.push_image("built-elsewhere", task_root(folder / "roots", "ok")))
        assert run.code == 0, run.err
        policies = list(list_policies(aws))
        assert {kind for kind, _ in policies} == set(SCANNERS)
        return policies
