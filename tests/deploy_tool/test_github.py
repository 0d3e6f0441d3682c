"""github makes the roles that a repository's workflows deploy with: who may take which, and what comes of them."""

import re
from typing import Any

from tests.embedded_aws.policy import allows
from tests.scene import Scene

ISSUER = "token.actions.githubusercontent.com"
ROLE, PREVIEWS = "my-api.github", "my-api.github.previews"
TOKEN = {"aud": "sts.amazonaws.com", "sub": "repo:me/my-api:environment:prod", "ref": "refs/heads/main"}
NEW = "repo:me@1234/my-api@5678:environment"  # of a repository made since July 2026
NOBODY: set[str] = set()
WHO: list[tuple[dict[str, str], set[str]]] = [  # claims that differ from those of TOKEN
    ({}, {ROLE}),
    ({"sub": f"{NEW}:prod"}, {ROLE}),
    ({"ref": "refs/heads/other"}, NOBODY),
    ({"ref": "refs/pull/1/merge"}, NOBODY),
    ({"sub": "repo:me/my-api:ref:refs/heads/main"}, NOBODY),
    ({"sub": "repo:me/my-api:pull_request"}, NOBODY),
    ({"sub": "repo:me/other:environment:prod"}, NOBODY),
    ({"sub": "repo:me/my-api-2:environment:prod"}, NOBODY),
    ({"sub": "repo:other/my-api:environment:prod"}, NOBODY),
    ({"sub": "repo:me2@1/my-api@2:environment:prod"}, NOBODY),
    ({"aud": "https://github.com/me"}, NOBODY),
    ({"sub": "repo:me/my-api:environment:preview", "ref": "refs/pull/1/merge"}, {PREVIEWS}),
    ({"sub": f"{NEW}:preview", "ref": "refs/heads/main"}, {PREVIEWS}),
    ({"sub": "repo:me/other:environment:preview"}, NOBODY),
]


def trusts(scene: Scene, role: str, **claims: str) -> bool:
    """Whether STS gives this role for a token of GitHub's with these claims."""
    found: Any = scene.aws.client("iam").get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
    provider = f"arn:aws:iam::{scene.aws.account}:oidc-provider/{ISSUER}"
    context = {f"{ISSUER}:{claim}": value for claim, value in (TOKEN | claims).items()}
    return allows(found["Statement"], "sts:AssumeRoleWithWebIdentity", principal=provider, context=context)


def roles(scene: Scene) -> list[str]:
    return sorted(role["RoleName"] for role in scene.aws.client("iam").list_roles()["Roles"])


def test_it_says_what_to_set(scene: Scene) -> None:
    made = scene.deploy("github", "me/my-api")
    assert made.code == 0, made.err
    assert "OIDC provider: 3 created\n" in made.out
    assert re.findall(r"gh variable set (\S+) --repo me/my-api --body (\S+)", made.out) == [
        ("AWS_ROLE_ARN", f"arn:aws:iam::{scene.aws.account}:role/{ROLE}"),
        ("AWS_REGION", "us-east-1"),
    ]
    assert roles(scene) == [ROLE, PREVIEWS]
    assert scene.deploy("github", "me/my-api").code == 0
    assert scene.mutations == []


def test_who_may_take_which_role(scene: Scene) -> None:
    scene.deploy("github", "me/my-api")
    for claims, who in WHO:
        assert {role for role in (ROLE, PREVIEWS) if trusts(scene, role, **claims)} == who, claims


def test_another_stage_branch_and_environment(scene: Scene) -> None:
    made = scene.deploy("--stage", "dev", "github", "me/my-api", "--branch", "next", "--environment", "staging")
    assert "jobs in the environment staging, on the branch next" in made.out
    assert f"AWS_ROLE_ARN --repo me/my-api --body arn:aws:iam::{scene.aws.account}:role/{ROLE}\n" in made.out
    assert roles(scene) == [f"{ROLE}-dev"]
    claims = {"sub": "repo:me/my-api:environment:staging", "ref": "refs/heads/next"}
    assert trusts(scene, f"{ROLE}-dev", **claims)
    assert not trusts(scene, f"{ROLE}-dev", sub="repo:me/my-api:environment:dev", ref="refs/heads/next")


def test_what_is_no_repository(scene: Scene) -> None:
    for repository in ("", "me", "me/", "/my-api", "me/my/api", "me/*", "*/my-api", "me/my-api:x"):
        refused = scene.deploy("github", repository)
        assert refused.code == 2
        assert refused.err.splitlines()[0] == f"{repository!r} is not a GitHub repository."
        assert scene.calls == []


def test_what_is_no_environment(scene: Scene) -> None:
    assert scene.deploy("github", "me/my-api", "--environment", "prod*").code == 2
    assert scene.deploy("github", "me/my-api", "--branch", "*").code == 2
    assert scene.calls == []


def test_a_provider_of_somebody_else_is_used(scene: Scene) -> None:
    iam = scene.aws.client("iam")
    made = iam.create_open_id_connect_provider(Url=f"https://{ISSUER}", ClientIDList=["other"], ThumbprintList=[])
    assert "2 created, 1 updated" in scene.deploy("github", "me/my-api").out
    arn = made["OpenIDConnectProviderArn"]
    found = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    assert sorted(found["ClientIDList"]) == ["other", "sts.amazonaws.com"]


def test_a_role_of_somebody_else_is_left_alone(scene: Scene) -> None:
    trust = '{"Version": "2012-10-17", "Statement": []}'
    scene.aws.client("iam").create_role(RoleName=ROLE, AssumeRolePolicyDocument=trust)
    refused = scene.deploy("github", "me/my-api")
    assert (refused.code, scene.mutations) == (1, [])
    assert f"There is a role named {ROLE} that was not made by this tool." in refused.err


def test_another_repository_takes_over(scene: Scene) -> None:
    scene.deploy("github", "me/my-api")
    assert "2 updated" in scene.deploy("github", "us/service").out
    assert not trusts(scene, ROLE)
    assert trusts(scene, ROLE, sub="repo:us/service:environment:prod")


def test_the_roles_go_and_the_provider_stays(scene: Scene) -> None:
    scene.deploy("github", "me/my-api")
    assert scene.deploy("github", "--remove").code == 0
    assert roles(scene) == []
    assert scene.aws.client("iam").list_open_id_connect_providers()["OpenIDConnectProviderList"]
    assert scene.deploy("github", "--remove").code == 0
    assert scene.mutations == []


def test_destroy_leaves_them(scene: Scene) -> None:
    """Who destroys a service with the role of its previews must not take that role away meanwhile."""
    scene.deploy("github", "me/my-api")
    scene.release("old")
    assert scene.deploy("destroy", "--yes").code == 0
    assert roles(scene) == [ROLE, PREVIEWS]
