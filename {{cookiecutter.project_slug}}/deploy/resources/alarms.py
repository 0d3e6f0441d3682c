"""The CloudWatch alarms on errors of the service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deploy.iam import Statement, allow
from deploy.resource import Cost, Phase, Prices, Resource
from deploy.resources.function import ALIAS
from deploy.resources.topic import topic_arn
from deploy.stage import Stage
from deploy.state import State

if TYPE_CHECKING:
    from deploy.release import Live


def live_dimensions(stage: Stage) -> list[dict[str, Any]]:
    """Return the dimensions of Lambda's metrics for the live version."""
    return [{"Name": "FunctionName", "Value": stage.name}, {"Name": "Resource", "Value": f"{stage.name}:{ALIAS}"}]


class Alarms(Resource):
    """Two alarms, which fire when their metric counts at least one error within five minutes.

    `server_errors` is the metric that counts responses with status 5xx. Lambda's own metric Errors does not count them:
    the invocation succeeds.
    """

    kind = "alarms"
    phase = Phase.AFTER_RELEASE

    def __init__(self, stage: Stage, server_errors: State) -> None:
        super().__init__(stage)
        self.server_errors = server_errors

    @property
    def names(self) -> list[str]:
        """The names of the alarms."""
        return [f"{self.name}-errors", f"{self.name}-5xx"]

    def desired(self) -> State:
        common = {
            "Statistic": "Sum",
            "Period": 300,
            "EvaluationPeriods": 1,
            "Threshold": 1.0,
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            "TreatMissingData": "notBreaching",
            "AlarmActions": [topic_arn(self.stage)] if self.config.alarm_email else [],
        }
        # Errors counts timeouts, crashes and failed starts.
        errors = {"Namespace": "AWS/Lambda", "MetricName": "Errors", "Dimensions": live_dimensions(self.stage)}
        return dict(zip(self.names, (errors | common, self.server_errors | common), strict=True))

    def read(self) -> State | None:
        cloudwatch = self.stage.client("cloudwatch")
        alarms = cloudwatch.describe_alarms(AlarmNames=self.names)["MetricAlarms"]
        if not alarms:
            return None
        tags = cloudwatch.list_tags_for_resource(ResourceARN=alarms[0]["AlarmArn"])["Tags"]
        return {alarm["AlarmName"]: alarm for alarm in alarms} | {"tags": tags}

    def create(self, desired: State) -> None:
        self.update(desired)

    def update(self, changed: State) -> None:
        for name, alarm in changed.items():
            self.stage.client("cloudwatch").put_metric_alarm(AlarmName=name, Tags=self.stage.tag_list, **alarm)

    def delete(self) -> None:
        existing = self.read() or {}  # there is only one after an interrupted deploy
        self.stage.client("cloudwatch").delete_alarms(AlarmNames=[name for name in self.names if name in existing])

    def deploy_permissions(self) -> list[Statement]:
        return [
            allow("cloudwatch", "ListTagsForResource PutMetricAlarm TagResource", *self._arns),
            allow("cloudwatch", "DescribeAlarms", self.stage.arn("cloudwatch", "alarm:*")),
        ]

    def destroy_permissions(self) -> list[Statement]:
        return [allow("cloudwatch", "DeleteAlarms", *self._arns)]

    @property
    def _arns(self) -> list[str]:
        return [self.stage.arn("cloudwatch", f"alarm:{name}") for name in self.names]

    def fixed_costs(self, prices: Prices, *, versions: int) -> list[Cost]:
        free, dollars = prices["cloudwatch"]["free_alarms"], prices["cloudwatch"]["alarm"]
        return [Cost(f"alarm {name} ({free} of an account are free)", dollars, part=name) for name in self.names]

    def status(self, live: Live) -> list[tuple[str, str]]:
        alarms = self.read() or {}
        states = [f"{name} {alarms.get(name, {}).get('StateValue', 'missing')}" for name in self.names]
        return [("alarms", " · ".join(states))]
