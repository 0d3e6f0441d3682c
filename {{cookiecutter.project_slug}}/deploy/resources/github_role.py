"""The IAM roles with which GitHub Actions deploys. Their policies consist of what the components of the stack declare."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deploy.errors import suppress_errors
from deploy.iam import Statement, merge, policy_document
from deploy.resource import Resource
from deploy.resources.role import Role
from deploy.stack import Stack
from deploy.stage import Stage
from deploy.state import State

ISSUER = "token.actions.githubusercontent.com"
AUDIENCE = "sts.amazonaws.com"
PREVIEWS = "pr-*"  # the stages of pull requests


def provider_arn(stage: Stage) -> str:
    """Return the ARN of the account's OIDC provider for GitHub."""
    return stage.arn("iam", f"oidc-provider/{ISSUER}", region=False)


class OidcProvider(Resource):
    """The OpenID Connect provider, which makes it possible to trust GitHub's tokens.

    An account has one provider for all repositories, so it has no tags of a stage and is never deleted.
    """

    kind = "OIDC provider"

    @property
    def name(self) -> str:
        return ISSUER

    def desired(self) -> State:
        return {"audience": AUDIENCE}

    def read(self) -> State | None:
        with suppress_errors("NoSuchEntity"):
            arn = provider_arn(self.stage)
            provider = self.stage.client("iam").get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
            return {"audience": AUDIENCE if AUDIENCE in provider["ClientIDList"] else None}
        return None

    def create(self, desired: State) -> None:
        self.stage.client("iam").create_open_id_connect_provider(
            Url=f"https://{ISSUER}", ClientIDList=[desired["audience"]]
        )

    def update(self, changed: State) -> None:
        self.stage.client("iam").add_client_id_to_open_id_connect_provider(
            OpenIDConnectProviderArn=provider_arn(self.stage), ClientID=changed["audience"]
        )

    def delete(self) -> None: ...


class GithubRole(Role):
    """The role that deploys one stage, or, with `previews`, the role that deploys and destroys all previews.

    `claims` are patterns of the claims in GitHub's token. The name contains a dot, which the names of stages cannot
    contain, so that a role that may change the roles of stages cannot change itself.
    """

    def __init__(self, stage: Stage, claims: Mapping[str, Any], *, previews: bool = False) -> None:
        super().__init__(stage, uses=[])
        self.claims = claims
        self.previews = previews

    @property
    def name(self) -> str:
        suffix = ".previews" if self.previews else "" if self.config.stage == "prod" else f"-{self.config.stage}"
        return f"{self.config.name}.github{suffix}"

    def desired(self) -> State:
        trust = {
            "Effect": "Allow",
            "Principal": {"Federated": provider_arn(self.stage)},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {
                "StringEquals": {f"{ISSUER}:aud": AUDIENCE},
                "StringLike": {f"{ISSUER}:{claim}": pattern for claim, pattern in self.claims.items()},
            },
        }
        return {
            "AssumeRolePolicyDocument": policy_document([trust]),
            "PolicyDocument": policy_document(self.statements()),
        }

    def statements(self) -> list[Statement]:
        """Return what the components need: all of it for previews, and what a deploy needs for other stages."""
        stack = Stack(self.stage.with_config(stage=PREVIEWS) if self.previews else self.stage)
        permissions: list[Statement] = []
        for component in stack.components:
            permissions += component.deploy_permissions()
            if self.previews:
                permissions += component.destroy_permissions()
        return merge(permissions)
