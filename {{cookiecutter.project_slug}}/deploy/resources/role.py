"""The IAM role that the function runs as."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from deploy.errors import ACCESS_DENIED, DeployError, UsageError, suppress_errors
from deploy.iam import Statement, allow, policy_document
from deploy.resource import Check, Component, Resource
from deploy.resources.permissions_boundary import check_boundary
from deploy.stage import Stage, tag_list
from deploy.state import State

POLICY = "service"
MAX_POLICY_CHARACTERS = 10_240  # of all inline policies of a role, without spaces (the IAM guide: reference_iam-quotas)


class Role(Resource):
    """The role with one policy: writing to the log group, and what the components need that the function uses.

    `principal` is the AWS service that assumes the role.
    """

    kind = "role"
    has_tags = True
    principal = "lambda.amazonaws.com"

    def __init__(self, stage: Stage, uses: Sequence[Component]) -> None:
        super().__init__(stage)
        self.uses = uses

    @property
    def arn(self) -> str:
        """The ARN of the role."""
        return self.stage.arn("iam", f"role/{self.name}", region=False)

    def trust(self) -> Statement:
        """Return the statement that says who can assume the role."""
        return {"Effect": "Allow", "Principal": {"Service": self.principal}, "Action": "sts:AssumeRole"}

    def statements(self) -> list[Statement]:
        """Return the statements of its policy."""
        logs = self.stage.arn("logs", f"log-group:{self.config.log_group}:*")
        needed = [allow("logs", "CreateLogStream PutLogEvents", logs)]
        return needed + [statement for component in self.uses for statement in component.service_permissions()]

    def desired(self) -> State | None:
        return {
            "AssumeRolePolicyDocument": policy_document([self.trust()]),
            "PermissionsBoundary": self.config.permissions_boundary or None,
            "PolicyDocument": policy_document(self.statements()),
        }

    def read(self) -> State | None:
        with suppress_errors("NoSuchEntity"):
            role = self.stage.client("iam").get_role(RoleName=self.name)["Role"]
            boundary = role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
            policy = self._read_policy()
            return {**role, "PermissionsBoundary": boundary, "PolicyDocument": policy, "tags": role.get("Tags", [])}
        return None

    def _read_policy(self) -> Any:
        with suppress_errors("NoSuchEntity"):
            return self.stage.client("iam").get_role_policy(RoleName=self.name, PolicyName=POLICY)["PolicyDocument"]
        return None

    @property
    def too_long_hint(self) -> str:
        """Return what to do if the policy is longer than IAM allows."""
        return "Combine entries of [[permissions]] in deploy.toml: several resources, or a pattern such as orders-*."

    def validate(self, changed: State) -> None:
        """Raise UsageError if the policy is too long, and DeployError if the permissions boundary does not allow it."""
        length = len(json.dumps(changed.get("PolicyDocument"), separators=(",", ":")))
        if length > MAX_POLICY_CHARACTERS:
            raise UsageError(
                f"The policy of the role {self.name} would have {length:,} characters; IAM allows {MAX_POLICY_CHARACTERS:,}.",
                self.too_long_hint,
            )
        if self.config.permissions_boundary and changed.keys() & {"PermissionsBoundary", "PolicyDocument"}:
            check_boundary(self.stage, self.name, self.statements())

    def create(self, desired: State) -> None:
        trust, boundary = json.dumps(desired["AssumeRolePolicyDocument"]), desired["PermissionsBoundary"]
        options: Any = {"PermissionsBoundary": boundary} if boundary else {}
        self.stage.client("iam").create_role(
            RoleName=self.name, AssumeRolePolicyDocument=trust, Tags=self.stage.tag_list, **options
        )
        self.update({"PolicyDocument": desired["PolicyDocument"]})

    def update(self, changed: State) -> None:
        """Change the boundary first: GitHub's roles may only change a role that carries it."""
        iam = self.stage.client("iam")
        if boundary := changed.get("PermissionsBoundary"):
            iam.put_role_permissions_boundary(RoleName=self.name, PermissionsBoundary=boundary)
        elif "PermissionsBoundary" in changed:
            self._remove_boundary()
        if trust := changed.get("AssumeRolePolicyDocument"):
            iam.update_assume_role_policy(RoleName=self.name, PolicyDocument=json.dumps(trust))
        if policy := changed.get("PolicyDocument"):
            iam.put_role_policy(RoleName=self.name, PolicyName=POLICY, PolicyDocument=json.dumps(policy))

    def _remove_boundary(self) -> None:
        with suppress_errors(*ACCESS_DENIED):
            self.stage.client("iam").delete_role_permissions_boundary(RoleName=self.name)
            return
        raise DeployError(
            f"The permissions boundary of the role {self.name} cannot be removed with these credentials.",
            "GitHub's roles never can. Deploy once with your own credentials, or restore it in deploy.toml.",
        )

    def delete(self) -> None:
        """Delete the role with all its policies, including those that others added."""
        iam = self.stage.client("iam")
        for policy in iam.list_attached_role_policies(RoleName=self.name)["AttachedPolicies"]:
            iam.detach_role_policy(RoleName=self.name, PolicyArn=policy["PolicyArn"])
        for name in iam.list_role_policies(RoleName=self.name)["PolicyNames"]:
            iam.delete_role_policy(RoleName=self.name, PolicyName=name)
        iam.delete_role(RoleName=self.name)

    def add_tags(self, tags: Mapping[str, str]) -> None:
        self.stage.client("iam").tag_role(RoleName=self.name, Tags=tag_list(tags))

    def remove_tags(self, keys: Sequence[str]) -> None:
        self.stage.client("iam").untag_role(RoleName=self.name, TagKeys=keys)

    def deploy_permissions(self) -> list[Statement]:
        """Allow changes only of a role that carries the boundary, if there is one, and never its removal."""
        changes = "CreateRole PutRolePolicy UpdateAssumeRolePolicy"
        statements = [
            allow("iam", "GetRole GetRolePolicy TagRole", self.arn),
            allow("iam", "PassRole", self.arn, when={"iam:PassedToService": self.principal}),
        ]
        boundary = self.config.permissions_boundary
        if not boundary:
            return [*statements, allow("iam", changes, self.arn)]
        return [
            *statements,
            allow("iam", f"{changes} PutRolePermissionsBoundary", self.arn, when={"iam:PermissionsBoundary": boundary}),
            allow("iam", "GetPolicy GetPolicyVersion", boundary),
            allow("iam", "SimulateCustomPolicy", "*"),
        ]

    def tag_permissions(self) -> list[Statement]:
        return [allow("iam", "UntagRole", self.arn)]

    def destroy_permissions(self) -> list[Statement]:
        actions = "DeleteRole DeleteRolePolicy DetachRolePolicy ListAttachedRolePolicies ListRolePolicies"
        return [allow("iam", actions, self.arn)]

    def checks(self) -> list[Check]:
        """Return the check of the permissions boundary, if there is one."""
        if not self.config.permissions_boundary:
            return []
        return [
            Check("permissions_boundary", lambda: check_boundary(self.stage, self.name, self.statements())),
        ]
