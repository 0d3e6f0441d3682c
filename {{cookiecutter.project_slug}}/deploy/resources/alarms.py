"""Alarms on what goes wrong in the service, and the topic that sends them by e-mail."""

from typing import Any, ClassVar

from deploy.aws import absent_is_none
from deploy.resource import Resource, State
from deploy.resources.function import ALIAS
{% if cookiecutter.endpoint == 'http_api' %}
from deploy.resources.http_api import HttpApi
{% endif %}


class Topic(Resource):
    """Only with `alarm_email`. AWS mails the address once and sends nothing until it is confirmed."""

    kind = "SNS topic"

    @property
    def arn(self) -> str:
        return self.aws.arn("sns", self.name)

    def desired(self) -> State | None:
        return {"email": self.service.alarm_email} if self.service.alarm_email else None

    def read(self) -> State | None:
        with absent_is_none("NotFound", "ResourceNotFound"):
            tags = self.aws.sns.list_tags_for_resource(ResourceArn=self.arn)["Tags"]
            emails, wanted = list(self._subscriptions()), self.service.alarm_email
            return {
                "email": wanted if wanted in emails else ", ".join(emails),
                "tags": {tag["Key"]: tag["Value"] for tag in tags},
            }
        return None

    def _subscriptions(self) -> dict[str, str]:
        """E-mail address → ARN, or "PendingConfirmation"."""
        pages = self.aws.sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=self.arn)
        return {
            subscription["Endpoint"]: subscription["SubscriptionArn"]
            for page in pages
            for subscription in page["Subscriptions"]
            if subscription["Protocol"] == "email"
        }

    def create(self) -> None:
        tags = [{"Key": key, "Value": value} for key, value in self.service.tags.items()]
        self.aws.sns.create_topic(Name=self.name, Tags=tags)  # type: ignore[arg-type]
        self.update({"email": self.service.alarm_email})

    def update(self, changed: State) -> None:
        for endpoint, arn in self._subscriptions().items():
            if endpoint != changed["email"] and arn.startswith("arn:"):  # an unconfirmed one ends by itself
                self.aws.sns.unsubscribe(SubscriptionArn=arn)
        self.aws.sns.subscribe(TopicArn=self.arn, Protocol="email", Endpoint=changed["email"])

    def delete(self) -> None:
        self.aws.sns.delete_topic(TopicArn=self.arn)


class Alarm(Resource):
    """Goes off when the metric of what is live counts at least one within five minutes."""

    kind = "alarm"
    suffix: ClassVar[str]
    metric: ClassVar[str]

    @property
    def name(self) -> str:
        return f"{self.service.full_name}-{self.suffix}"

    def desired(self) -> State:
        function = self.service.full_name
        return {
            "Namespace": "AWS/Lambda",
            "MetricName": self.metric,
            "Dimensions": {"FunctionName": function, "Resource": f"{function}:{ALIAS}"},
            "Statistic": "Sum",
            "Period": 300,
            "EvaluationPeriods": 1,
            "Threshold": 1.0,
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            "TreatMissingData": "notBreaching",
            "AlarmActions": [Topic(self.service, self.aws).arn] if self.service.alarm_email else [],
        }

    def read(self) -> State | None:
        found = self.aws.cloudwatch.describe_alarms(AlarmNames=[self.name])["MetricAlarms"]
        if not found:
            return None
        tags = self.aws.cloudwatch.list_tags_for_resource(ResourceARN=found[0]["AlarmArn"])["Tags"]
        return {
            **found[0],
            "Dimensions": {dimension["Name"]: dimension["Value"] for dimension in found[0]["Dimensions"]},
            "tags": {tag["Key"]: tag["Value"] for tag in tags},
        }

    def create(self) -> None:
        self._put(Tags=[{"Key": key, "Value": value} for key, value in self.service.tags.items()])

    def update(self, changed: State) -> None:
        self._put()

    def _put(self, **tags: Any) -> None:
        wanted = self.desired()
        wanted["Dimensions"] = [{"Name": key, "Value": value} for key, value in wanted["Dimensions"].items()]
        self.aws.cloudwatch.put_metric_alarm(AlarmName=self.name, **wanted, **tags)

    def delete(self) -> None:
        self.aws.cloudwatch.delete_alarms(AlarmNames=[self.name])


class ErrorsAlarm(Alarm):
    """Time-outs, crashes and failed INITs."""

    suffix = "errors"
    metric = "Errors"


class ServerErrorsAlarm(Alarm):
    """Every 500: `Errors` does not see one that the service itself answers, since the invocation succeeds."""

    suffix = "5xx"
{% if cookiecutter.endpoint == 'function_url' %}
    metric = "Url5xxCount"
{% else %}
    metric = "5xx"

    def desired(self) -> State:
        api = {"ApiId": HttpApi(self.service, self.aws).id}
        return super().desired() | {"Namespace": "AWS/ApiGateway", "Dimensions": api}
{% endif %}
