"""The log group of the function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from deploy.iam import Statement, allow
from deploy.resource import Resource
from deploy.state import State


class LogGroup(Resource):
    """The log group. It is created before the function, because logs never expire in one that Lambda creates."""

    kind = "log group"
    has_tags = True
    log_kb_per_request = 1.0  # Lambda's start and report, and the access log of the service

    @property
    def name(self) -> str:
        return self.config.log_group

    @property
    def arn(self) -> str:
        """The ARN of the log group."""
        return self.stage.arn("logs", f"log-group:{self.name}")

    def desired(self) -> State:
        return {"retentionInDays": self.config.log_retention_days}

    def read(self) -> State | None:
        logs = self.stage.client("logs")
        for group in logs.describe_log_groups(logGroupNamePrefix=self.name)["logGroups"]:
            if group["logGroupName"] == self.name:
                return {**group, **logs.list_tags_for_resource(resourceArn=self.arn)}
        return None

    def create(self, desired: State) -> None:
        self.stage.client("logs").create_log_group(logGroupName=self.name, tags=self.stage.all_tags)
        self.update(desired)

    def update(self, changed: State) -> None:
        self.stage.client("logs").put_retention_policy(logGroupName=self.name, **changed)

    def delete(self) -> None:
        self.stage.client("logs").delete_log_group(logGroupName=self.name)

    def add_tags(self, tags: Mapping[str, str]) -> None:
        self.stage.client("logs").tag_resource(resourceArn=self.arn, tags=tags)

    def remove_tags(self, keys: Sequence[str]) -> None:
        self.stage.client("logs").untag_resource(resourceArn=self.arn, tagKeys=keys)

    def tag_permissions(self) -> list[Statement]:
        return [allow("logs", "UntagResource", self.arn)]

    def deploy_permissions(self) -> list[Statement]:
        actions = "CreateLogGroup FilterLogEvents ListTagsForResource PutRetentionPolicy TagResource"
        return [allow("logs", actions, self.arn, f"{self.arn}:*"), allow("logs", "DescribeLogGroups", "*")]

    def destroy_permissions(self) -> list[Statement]:
        return [allow("logs", "DeleteLogGroup", self.arn, f"{self.arn}:*")]
