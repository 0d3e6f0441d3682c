"""The permissions of the service for its job queue: a policy of its own in the service's role.

The live version queues jobs, and Lambda reads the queue with the role. So this policy is created before the other
resources for jobs, and deleted after them. A tag of the role records that they exist: a deploy reads the role anyway, so
services without jobs need no call to find out that there is nothing to delete.
"""

from __future__ import annotations

import json

from deploy.errors import suppress_errors
from deploy.iam import Statement, allow, policy_document
from deploy.resource import Check
from deploy.resources.job_resource import JOBS_TAG, JobResource, queue_arn
from deploy.resources.permissions_boundary import check_boundary
from deploy.resources.role import Role
from deploy.stage import Stage, tag_list
from deploy.state import State, tag_dict

POLICY = "jobs"


class JobPermissions(JobResource):
    """The policy, and the tag of the role."""

    kind = "job permissions"

    def __init__(self, stage: Stage, role: Role) -> None:
        super().__init__(stage)
        self.role = role

    def statements(self) -> list[Statement]:
        """Return what the service needs to queue jobs, and what Lambda needs to read them.

        Source: docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
        """
        return [allow("sqs", "DeleteMessage GetQueueAttributes ReceiveMessage SendMessage", queue_arn(self.stage))]

    def desired(self) -> State | None:
        return {"tag": True, "PolicyDocument": policy_document(self.statements())} if self.config.jobs else None

    def read(self) -> State | None:
        policy = None
        with suppress_errors("NoSuchEntity"):
            role = self.stage.client("iam").get_role(RoleName=self.role.name)["Role"]
            with suppress_errors("NoSuchEntity"):
                response = self.stage.client("iam").get_role_policy(RoleName=self.role.name, PolicyName=POLICY)
                policy = response["PolicyDocument"]
            is_recorded = JOBS_TAG in tag_dict(role.get("Tags", []))
            return {"tag": is_recorded, "PolicyDocument": policy} if is_recorded or policy else None
        return None

    def validate(self, changed: State) -> None:
        """Raise DeployError if the permissions boundary does not allow the permissions."""
        if self.config.permissions_boundary and "PolicyDocument" in changed:
            check_boundary(self.stage, self.role.name, self.statements())

    def create(self, desired: State) -> None:
        self.update(desired)

    def update(self, changed: State) -> None:
        iam = self.stage.client("iam")
        if "tag" in changed:
            iam.tag_role(RoleName=self.role.name, Tags=tag_list({JOBS_TAG: "true"}))
        if policy := changed.get("PolicyDocument"):
            iam.put_role_policy(RoleName=self.role.name, PolicyName=POLICY, PolicyDocument=json.dumps(policy))

    def delete(self) -> None:
        """Delete the policy, and then the tag, which records that there is something to delete."""
        iam = self.stage.client("iam")
        with suppress_errors("NoSuchEntity"):
            iam.delete_role_policy(RoleName=self.role.name, PolicyName=POLICY)
        iam.untag_role(RoleName=self.role.name, TagKeys=[JOBS_TAG])

    def deploy_permissions(self) -> list[Statement]:
        """Include what removes the policy: a deploy does that once deploy.toml does not contain [jobs] any more."""
        if not self.config.jobs:
            return []
        boundary = self.config.permissions_boundary
        condition = {"iam:PermissionsBoundary": boundary} if boundary else None
        return [
            allow("iam", "DeleteRolePolicy", self.role.arn, when=condition),
            allow("iam", "UntagRole", self.role.arn),
        ]

    def checks(self) -> list[Check]:
        """Return the check of the permissions boundary, if there is one."""
        if not self.config.jobs or not self.config.permissions_boundary:
            return []
        return [
            Check("permissions of jobs", lambda: check_boundary(self.stage, self.role.name, self.statements())),
        ]
