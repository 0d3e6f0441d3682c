"""The IAM roles with which GitHub Actions deploys. Their policies consist of what the components of the stack declare."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from deploy.errors import suppress_errors
from deploy.iam import Statement, merge, policy_document
from deploy.resource import Component, Resource
from deploy.resources.job_resource import JobResource
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

    def trust(self) -> Statement:
        return {
            "Effect": "Allow",
            "Principal": {"Federated": provider_arn(self.stage)},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {
                "StringEquals": {f"{ISSUER}:aud": AUDIENCE},
                "StringLike": {f"{ISSUER}:{claim}": pattern for claim, pattern in self.claims.items()},
            },
        }

    @property
    def too_long_hint(self) -> str:
        """The policy contains what the components need, but none of the service's own permissions."""
        return "Remove components from deploy/stack.py, or combine the statements of their deploy_permissions()."

    def statements(self) -> list[Statement]:
        """Return what the components need, except those for background jobs, see `JobsPolicy`."""
        return merge(self._permissions(lambda component: not isinstance(component, JobResource)))

    def job_statements(self) -> list[Statement]:
        """Return what the components for background jobs need in addition."""
        permissions = self._permissions(lambda component: isinstance(component, JobResource))
        return merge(permissions, allowed=self.statements())

    def _permissions(self, is_included: Callable[[Component], bool]) -> list[Statement]:
        """Return what these components need: all of it for previews, and what a deploy needs for other stages."""
        stack = Stack(self.stage.with_config(stage=PREVIEWS) if self.previews else self.stage)
        permissions: list[Statement] = []
        for component in filter(is_included, stack.components):
            permissions += component.deploy_permissions()
            if self.previews:
                permissions += component.destroy_permissions()
            if self.config.tags and isinstance(component, Resource):
                permissions += component.tag_permissions()
        return permissions


class JobsPolicy(Resource):
    """The managed policy of a role with what the resources for background jobs need.

    It is separate, because IAM limits the policy that is part of the role.
    """

    kind = "policy"

    def __init__(self, role: GithubRole) -> None:
        super().__init__(role.stage)
        self.role = role

    @property
    def name(self) -> str:
        return f"{self.role.name}.jobs"

    @property
    def arn(self) -> str:
        """The ARN of the policy."""
        return self.stage.arn("iam", f"policy/{self.name}", region=False)

    def desired(self) -> State | None:
        if not self.config.jobs:
            return None
        return {"PolicyDocument": policy_document(self.role.job_statements()), "roles": [self.role.name]}

    def read(self) -> State | None:
        iam = self.stage.client("iam")
        with suppress_errors("NoSuchEntity"):
            policy = iam.get_policy(PolicyArn=self.arn)["Policy"]
            version = iam.get_policy_version(PolicyArn=self.arn, VersionId=policy["DefaultVersionId"])["PolicyVersion"]
            roles = iam.list_entities_for_policy(PolicyArn=self.arn)["PolicyRoles"]
            return {
                "PolicyDocument": version["Document"],
                "roles": [role["RoleName"] for role in roles],
                "tags": policy.get("Tags", []),
            }
        return None

    def create(self, desired: State) -> None:
        document = json.dumps(desired["PolicyDocument"])
        self.stage.client("iam").create_policy(PolicyName=self.name, PolicyDocument=document, Tags=self.stage.tag_list)
        self.update({"roles": desired["roles"]})

    def update(self, changed: State) -> None:
        """Replace the document, of which IAM keeps older versions, and attach the policy to the role."""
        iam = self.stage.client("iam")
        if document := changed.get("PolicyDocument"):
            self._delete_old_versions()
            iam.create_policy_version(PolicyArn=self.arn, PolicyDocument=json.dumps(document), SetAsDefault=True)
        if "roles" in changed:
            iam.attach_role_policy(RoleName=self.role.name, PolicyArn=self.arn)

    def _delete_old_versions(self) -> None:
        iam = self.stage.client("iam")
        for version in iam.list_policy_versions(PolicyArn=self.arn)["Versions"]:
            if not version["IsDefaultVersion"]:
                iam.delete_policy_version(PolicyArn=self.arn, VersionId=version["VersionId"])

    def delete(self) -> None:
        iam = self.stage.client("iam")
        for role in iam.list_entities_for_policy(PolicyArn=self.arn)["PolicyRoles"]:
            iam.detach_role_policy(RoleName=role["RoleName"], PolicyArn=self.arn)
        self._delete_old_versions()
        iam.delete_policy(PolicyArn=self.arn)
