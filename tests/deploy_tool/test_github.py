"""Test the command `github`: it creates the roles with which GitHub deploys, for the right jobs only."""

import re
from typing import Any

import pytest

from embedded_aws.iam.policy import allows
from tests.support.deployed_stage import DeployedStage

ISSUER = "token.actions.githubusercontent.com"
ROLE, PREVIEWS = "my-api.github", "my-api.github.previews"
TOKEN = {"aud": "sts.amazonaws.com", "sub": "repo:me/my-api:environment:prod", "ref": "refs/heads/main"}
WITH_IDS = "repo:me@1234/my-api@5678:environment"  # the form of repositories that were created since July 2026
NONE: set[str] = set()
ASSUMABLE: list[tuple[dict[str, str], set[str]]] = [  # claims that differ from TOKEN, and the roles
    ({}, {ROLE}),
    ({"sub": f"{WITH_IDS}:prod"}, {ROLE}),
    ({"ref": "refs/heads/other"}, NONE),
    ({"ref": "refs/pull/1/merge"}, NONE),
    ({"sub": "repo:me/my-api:ref:refs/heads/main"}, NONE),
    ({"sub": "repo:me/my-api:pull_request"}, NONE),
    ({"sub": "repo:me/other:environment:prod"}, NONE),
    ({"sub": "repo:me/my-api-2:environment:prod"}, NONE),
    ({"sub": "repo:other/my-api:environment:prod"}, NONE),
    ({"sub": "repo:me2@1/my-api@2:environment:prod"}, NONE),
    ({"aud": "https://github.com/me"}, NONE),
    ({"sub": "repo:me/my-api:environment:preview", "ref": "refs/pull/1/merge"}, {PREVIEWS}),
    ({"sub": f"{WITH_IDS}:preview", "ref": "refs/heads/main"}, {PREVIEWS}),
    ({"sub": "repo:me/other:environment:preview"}, NONE),
]


def can_assume(stage: DeployedStage, role: str, **claims: str) -> bool:
    """Return True if STS returns credentials of this role for a token of GitHub with these claims."""
    trust: Any = stage.aws.client("iam").get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
    provider = f"arn:aws:iam::{stage.aws.account}:oidc-provider/{ISSUER}"
    context = {f"{ISSUER}:{claim}": value for claim, value in (TOKEN | claims).items()}
    return allows(trust["Statement"], "sts:AssumeRoleWithWebIdentity", principal=provider, context=context)


def roles(stage: DeployedStage) -> list[str]:
    return sorted(role["RoleName"] for role in stage.aws.client("iam").list_roles()["Roles"])


def test_github_creates_the_roles_and_prints_the_variables_to_set(stage: DeployedStage) -> None:
    created = stage.deploy("github", "me/my-api")
    assert created.code == 0, created.err
    assert "Roles and OIDC provider: 3 created\n" in created.out
    assert "Jobs in the environment prod on the branch main may deploy the stage prod.\n" in created.out
    assert "Jobs in the environment preview may deploy and destroy the stages pr-….\n" in created.out
    assert re.findall(r"gh variable set (\S+) --repo me/my-api --body (\S+)", created.out) == [
        ("AWS_ROLE_ARN", f"arn:aws:iam::{stage.aws.account}:role/{ROLE}"),
        ("AWS_REGION", "us-east-1"),
    ]
    assert roles(stage) == [ROLE, PREVIEWS]
    again = stage.deploy("github", "me/my-api")
    assert again.code == 0
    assert "Roles and OIDC provider: up to date\n" in again.out
    assert stage.mutations == []


def test_each_role_can_be_assumed_only_by_its_jobs(stage: DeployedStage) -> None:
    stage.deploy("github", "me/my-api")
    for claims, expected in ASSUMABLE:
        assert {role for role in (ROLE, PREVIEWS) if can_assume(stage, role, **claims)} == expected, claims


def test_another_stage_has_its_own_role_branch_and_environment(stage: DeployedStage) -> None:
    created = stage.deploy("--stage", "dev", "github", "me/my-api", "--branch", "next", "--environment", "staging")
    assert "Jobs in the environment staging on the branch next may deploy the stage dev.\n" in created.out
    assert "\nThe jobs of this stage have to append -dev to AWS_ROLE_ARN: " in created.out
    assert "pr-…" not in created.out
    assert f"AWS_ROLE_ARN --repo me/my-api --body arn:aws:iam::{stage.aws.account}:role/{ROLE}\n" in created.out
    assert roles(stage) == [f"{ROLE}-dev"]
    claims = {"sub": "repo:me/my-api:environment:staging", "ref": "refs/heads/next"}
    assert can_assume(stage, f"{ROLE}-dev", **claims)
    assert not can_assume(stage, f"{ROLE}-dev", sub="repo:me/my-api:environment:dev", ref="refs/heads/next")


@pytest.mark.parametrize(
    "repository", ["", "me", "me/", "/my-api", "me/my/api", "me/*", "*/my-api", "me/my-api:x", "me/my-api\n"]
)
def test_an_invalid_repository_is_rejected(stage: DeployedStage, repository: str) -> None:
    rejected = stage.deploy("github", repository)
    assert rejected.code == 2
    assert rejected.err == f"{repository!r} is not a GitHub repository.\nRun ./deploy.sh github OWNER/REPO\n"
    assert stage.calls == []


@pytest.mark.parametrize(("noun", "name"), [("environment", "prod*"), ("branch", "*")])
def test_an_invalid_environment_or_branch_is_rejected(stage: DeployedStage, noun: str, name: str) -> None:
    rejected = stage.deploy("github", "me/my-api", f"--{noun}", name)
    assert rejected.code == 2
    assert rejected.err == f"{name!r} is not a valid {noun} name.\nUse letters, digits, and . _ - /\n"
    assert stage.calls == []


def test_an_existing_oidc_provider_is_reused(stage: DeployedStage) -> None:
    iam = stage.aws.client("iam")
    existing = iam.create_open_id_connect_provider(Url=f"https://{ISSUER}", ClientIDList=["other"], ThumbprintList=[])
    assert "Roles and OIDC provider: 2 created, 1 updated\n" in stage.deploy("github", "me/my-api").out
    arn = existing["OpenIDConnectProviderArn"]
    provider = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    assert sorted(provider["ClientIDList"]) == ["other", "sts.amazonaws.com"]


def test_a_role_of_somebody_else_is_not_changed(stage: DeployedStage) -> None:
    trust = '{"Version": "2012-10-17", "Statement": []}'
    stage.aws.client("iam").create_role(RoleName=ROLE, AssumeRolePolicyDocument=trust)
    refused = stage.deploy("github", "me/my-api")
    assert (refused.code, stage.mutations) == (1, [])
    assert refused.err == (
        f"The role {ROLE} already exists, but this tool did not create it for this stage.\n"
        "Choose another name in deploy.toml or another --stage, or delete it.\n"
    )


def test_another_repository_replaces_the_first_one(stage: DeployedStage) -> None:
    stage.deploy("github", "me/my-api")
    assert "Roles and OIDC provider: 2 updated\n" in stage.deploy("github", "us/service").out
    assert not can_assume(stage, ROLE)
    assert can_assume(stage, ROLE, sub="repo:us/service:environment:prod")


def test_remove_deletes_the_roles_and_keeps_the_oidc_provider(stage: DeployedStage) -> None:
    stage.deploy("github", "me/my-api")
    removed = stage.deploy("github", "--remove")
    assert removed.code == 0
    assert removed.out.splitlines()[1:] == [
        f"deleted role {ROLE}",
        f"deleted role {PREVIEWS}",
        "GitHub Actions can no longer deploy my-api-prod.",
        "The account's OIDC provider was kept, because other roles may use it.",
    ]
    assert roles(stage) == []
    assert stage.aws.client("iam").list_open_id_connect_providers()["OpenIDConnectProviderList"]
    assert stage.deploy("github", "--remove").code == 0
    assert stage.mutations == []


def test_destroy_keeps_the_roles(stage: DeployedStage) -> None:
    """A job that destroys a preview must not delete its own role meanwhile."""
    stage.deploy("github", "me/my-api")
    stage.release("old")
    assert stage.deploy("destroy", "--yes").code == 0
    assert roles(stage) == [ROLE, PREVIEWS]
