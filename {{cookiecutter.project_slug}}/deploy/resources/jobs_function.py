"""The Lambda function that runs background jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deploy.errors import DeployError
from deploy.iam import Statement, allow
from deploy.resource import Check
from deploy.resources.function import Function, Timeout
from deploy.resources.job_resource import JobResource
from deploy.state import State

if TYPE_CHECKING:
    from deploy.release import Live


class JobsFunction(JobResource, Function):
    """The image of the service with another command. It has the role, the variables and the network of the service.

    A release publishes a version of it, too, and moves its alias, see `Jobs`.
    """

    @property
    def name(self) -> str:
        return f"{self.stage.name}-jobs"

    @property
    def timeout(self) -> Timeout:
        return Timeout("jobs.timeout_s", self.config.jobs.timeout_s if self.config.jobs else 0)

    def desired(self) -> State | None:
        return self.settings() if self.config.jobs else None

    def settings(self) -> State:
        memory_mb = self.config.jobs.memory_mb if self.config.jobs else None
        settings = super().settings() | {
            "ImageConfig": {"Command": ["aws_lambda.job_handler.handler"]},
            "MemorySize": memory_mb or self.config.memory_mb,
        }
        del settings["ReservedConcurrentExecutions"]
        return settings

    def tag_permissions(self) -> list[Statement]:
        return super().tag_permissions() if self.config.jobs else []

    def deploy_permissions(self) -> list[Statement]:
        """Include the deletion: a deploy does that once deploy.toml does not contain [jobs] any more."""
        if not self.config.jobs:
            return []
        actions = """
            CreateAlias CreateFunction DeleteFunction GetAlias GetFunction GetFunctionConfiguration InvokeFunction ListTags
            ListVersionsByFunction PublishVersion TagResource UpdateAlias UpdateFunctionCode UpdateFunctionConfiguration
        """
        return [allow("lambda", actions, self.arn, f"{self.arn}:*")]

    def destroy_permissions(self) -> list[Statement]:
        return []

    def live_config(self, live: Live) -> dict[str, Any]:
        return {}

    def status(self, live: Live) -> list[tuple[str, str]]:
        return []

    def checks(self) -> list[Check]:
        """Return the check of the concurrent executions that are left for jobs."""
        return [Check("jobs", self._check_max_concurrency)] if self.config.jobs else []

    def _check_max_concurrency(self) -> str:
        limit = self.stage.client("lambda").get_account_settings()["AccountLimit"]
        unreserved = limit["UnreservedConcurrentExecutions"]
        wanted = self.config.jobs.max_concurrency if self.config.jobs else 0
        if wanted > unreserved:
            raise DeployError(
                f"jobs.max_concurrency is {wanted}, but only {unreserved} concurrent executions of this account are not "
                "reserved. Jobs that Lambda cannot start because of that use up their attempts.",
                "Lower it in deploy.toml, or request more: Service Quotas, AWS Lambda, Concurrent executions.",
            )
        return f"up to {wanted} at the same time"
