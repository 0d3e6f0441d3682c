"""CloudWatch alarms, among them those on errors of the service."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from deploy.iam import Statement, allow
from deploy.resource import Cost, Phase, Prices, Resource
from deploy.resources.function import ALIAS
from deploy.resources.topic import topic_arn
from deploy.stage import Stage, tag_list
from deploy.state import State

if TYPE_CHECKING:
    from deploy.release import Live


def live_dimensions(stage: Stage) -> list[dict[str, Any]]:
    """Return the dimensions of Lambda's metrics for the live version."""
    return [{"Name": "FunctionName", "Value": stage.name}, {"Name": "Resource", "Value": f"{stage.name}:{ALIAS}"}]


class AlarmGroup(Resource):
    """Alarms, each of which fires when its metric is at least one within five minutes."""

    kind = "alarms"
    has_tags = True
    phase = Phase.AFTER_RELEASE

    @abstractmethod
    def metrics(self) -> dict[str, State]:
        """Return the metric of each alarm by the name of the alarm: namespace, name, dimensions and statistic."""

    @property
    def names(self) -> list[str]:
        """The names of the alarms."""
        return [*self.metrics()]

    def desired(self) -> State | None:
        common = {
            "Period": 300,
            "EvaluationPeriods": 1,
            "Threshold": 1.0,
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            "TreatMissingData": "notBreaching",
            "AlarmActions": [topic_arn(self.stage)] if self.config.alarm_email else [],
        }
        return {name: metric | common for name, metric in self.metrics().items()}

    def read(self) -> State | None:
        alarms = self._existing()
        if not alarms:
            return None
        *_, last_tagged = alarms.values()  # add_tags changes it last, so its tags show an interrupted change
        tags = self.stage.client("cloudwatch").list_tags_for_resource(ResourceARN=last_tagged["AlarmArn"])["Tags"]
        return {**alarms, "tags": tags}

    def _existing(self) -> dict[str, Any]:
        """Return the alarms that exist, by name and in the order of `names`. One may be missing."""
        response = self.stage.client("cloudwatch").describe_alarms(AlarmNames=self.names)
        alarms = {alarm["AlarmName"]: alarm for alarm in response["MetricAlarms"]}
        return {name: alarms[name] for name in self.names if name in alarms}

    def create(self, desired: State) -> None:
        self.update(desired)

    def update(self, changed: State) -> None:
        for name, alarm in changed.items():
            self.stage.client("cloudwatch").put_metric_alarm(AlarmName=name, Tags=self.stage.tag_list, **alarm)

    def delete(self) -> None:
        self.stage.client("cloudwatch").delete_alarms(AlarmNames=list(self._existing()))

    def add_tags(self, tags: Mapping[str, str]) -> None:
        """PutMetricAlarm ignores the tags of an alarm that exists."""
        for alarm in self._existing().values():
            self.stage.client("cloudwatch").tag_resource(ResourceARN=alarm["AlarmArn"], Tags=tag_list(tags))

    def remove_tags(self, keys: Sequence[str]) -> None:
        for alarm in self._existing().values():
            self.stage.client("cloudwatch").untag_resource(ResourceARN=alarm["AlarmArn"], TagKeys=keys)

    def tag_permissions(self) -> list[Statement]:
        return [allow("cloudwatch", "UntagResource", *self._arns)]

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
        alarms = self._existing()
        states = [f"{name} {alarms.get(name, {}).get('StateValue', 'missing')}" for name in self.names]
        return [("alarms", " · ".join(states))]


class Alarms(AlarmGroup):
    """Two alarms on errors of the service.

    `server_errors` is the metric that counts responses with status 5xx. Lambda's own metric Errors does not count them:
    the invocation succeeds.
    """

    def __init__(self, stage: Stage, server_errors: State) -> None:
        super().__init__(stage)
        self.server_errors = server_errors

    def metrics(self) -> dict[str, State]:
        # Errors counts timeouts, crashes and failed starts.
        errors = {"Namespace": "AWS/Lambda", "MetricName": "Errors", "Dimensions": live_dimensions(self.stage)}
        metrics = {f"{self.name}-errors": errors, f"{self.name}-5xx": self.server_errors}
        return {name: {"Statistic": "Sum"} | metric for name, metric in metrics.items()}
