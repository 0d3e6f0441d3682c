"""The IAM role that the function runs as."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from deploy.errors import suppress_errors
from deploy.iam import Statement, allow, policy_document
from deploy.resource import Component, Resource
from deploy.stage import Stage
from deploy.state import State

POLICY = "service"
TRUST = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}


class Role(Resource):
    """The role with one policy: writing to the log group, and what the components need that the function uses."""

    kind = "role"

    def __init__(self, stage: Stage, uses: Sequence[Component]) -> None:
        super().__init__(stage)
        self.uses = uses

    @property
    def arn(self) -> str:
        """The ARN of the role."""
        return self.stage.arn("iam", f"role/{self.name}", region=False)

    def desired(self) -> State:
        logs = self.stage.arn("logs", f"log-group:{self.config.log_group}:*")
        statements = [allow("logs", "CreateLogStream PutLogEvents", logs)]
        for component in self.uses:
            statements += component.service_permissions()
        return {"AssumeRolePolicyDocument": policy_document([TRUST]), "PolicyDocument": policy_document(statements)}

    def read(self) -> State | None:
        with suppress_errors("NoSuchEntity"):
            role = self.stage.client("iam").get_role(RoleName=self.name)["Role"]
            return {**role, "PolicyDocument": self._read_policy(), "tags": role.get("Tags", [])}
        return None

    def _read_policy(self) -> Any:
        with suppress_errors("NoSuchEntity"):
            return self.stage.client("iam").get_role_policy(RoleName=self.name, PolicyName=POLICY)["PolicyDocument"]
        return None

    def create(self, desired: State) -> None:
        trust = json.dumps(desired["AssumeRolePolicyDocument"])
        self.stage.client("iam").create_role(
            RoleName=self.name, AssumeRolePolicyDocument=trust, Tags=self.stage.tag_list
        )
        self.update({"PolicyDocument": desired["PolicyDocument"]})

    def update(self, changed: State) -> None:
        iam = self.stage.client("iam")
        if trust := changed.get("AssumeRolePolicyDocument"):
            iam.update_assume_role_policy(RoleName=self.name, PolicyDocument=json.dumps(trust))
        if policy := changed.get("PolicyDocument"):
            iam.put_role_policy(RoleName=self.name, PolicyName=POLICY, PolicyDocument=json.dumps(policy))

    def delete(self) -> None:
        """Delete the role with all its policies, including those that others added."""
        iam = self.stage.client("iam")
        for policy in iam.list_attached_role_policies(RoleName=self.name)["AttachedPolicies"]:
            iam.detach_role_policy(RoleName=self.name, PolicyArn=policy["PolicyArn"])
        for name in iam.list_role_policies(RoleName=self.name)["PolicyNames"]:
            iam.delete_role_policy(RoleName=self.name, PolicyName=name)
        iam.delete_role(RoleName=self.name)

    def deploy_permissions(self) -> list[Statement]:
        actions = "CreateRole GetRole GetRolePolicy PutRolePolicy TagRole UpdateAssumeRolePolicy"
        return [
            allow("iam", actions, self.arn),
            allow("iam", "PassRole", self.arn, when={"iam:PassedToService": "lambda.amazonaws.com"}),
        ]

    def destroy_permissions(self) -> list[Statement]:
        actions = "DeleteRole DeleteRolePolicy DetachRolePolicy ListAttachedRolePolicies ListRolePolicies"
        return [allow("iam", actions, self.arn)]
