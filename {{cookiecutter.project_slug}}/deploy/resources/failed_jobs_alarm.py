"""The CloudWatch alarm on failed jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploy.iam import Statement
from deploy.resource import Cost, Prices
from deploy.resources.alarms import AlarmGroup
from deploy.resources.job_resource import JobResource
from deploy.state import State

if TYPE_CHECKING:
    from deploy.release import Live


class FailedJobsAlarm(JobResource, AlarmGroup):
    """The alarm, which fires while the dead-letter queue contains a job."""

    kind = "alarm"

    @property
    def name(self) -> str:
        return f"{self.stage.name}-jobs-failed"

    def metrics(self) -> dict[str, State]:
        return {
            self.name: {
                "Namespace": "AWS/SQS",
                "MetricName": "ApproximateNumberOfMessagesVisible",
                "Dimensions": [{"Name": "QueueName", "Value": self.name}],
                "Statistic": "Maximum",
            }
        }

    def desired(self) -> State | None:
        return super().desired() if self.config.jobs else None

    def deploy_permissions(self) -> list[Statement]:
        """Include the deletion: a deploy does that once deploy.toml does not contain [jobs] any more."""
        return [*super().deploy_permissions(), *super().destroy_permissions()] if self.config.jobs else []

    def destroy_permissions(self) -> list[Statement]:
        return []

    def tag_permissions(self) -> list[Statement]:
        return super().tag_permissions() if self.config.jobs else []

    def fixed_costs(self, prices: Prices, *, versions: int) -> list[Cost]:
        return super().fixed_costs(prices, versions=versions) if self.config.jobs else []

    def status(self, live: Live) -> list[tuple[str, str]]:
        return super().status(live) if self.config.jobs else []
