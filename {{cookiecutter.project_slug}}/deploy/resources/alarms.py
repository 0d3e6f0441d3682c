"""Alarms on what goes wrong in the service, and the topic that sends them by e-mail."""

from __future__ import annotations

{% if cookiecutter.endpoint == 'http_api' %}
from deploy.aws import Aws, absent_is_none
from deploy.config import Service
from deploy.resource import Resource, State
from deploy.resources.function import ALIAS
from deploy.resources.http_api import HttpApi
{% else %}
from deploy.aws import absent_is_none
from deploy.resource import Resource, State
from deploy.resources.function import ALIAS
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
            return {"email": wanted if wanted in emails else ", ".join(emails), "tags": tags}
        return None

    def _subscriptions(self) -> dict[str, str]:
        """E-mail address → ARN, or "PendingConfirmation"."""
        pages = self.aws.sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=self.arn)
        return {one["Endpoint"]: one["SubscriptionArn"] for page in pages for one in page["Subscriptions"]}

    def confirmed(self) -> bool:
        """Whether somebody has followed the link in AWS's mail."""
        return self._subscriptions().get(self.service.alarm_email, "").startswith("arn:")

    def create(self) -> None:
        self.aws.sns.create_topic(Name=self.name, Tags=self.service.tag_list)
        self.update({})

    def update(self, changed: State) -> None:
        subscribed, wanted = self._subscriptions(), self.service.alarm_email
        for email, arn in subscribed.items():
            if email != wanted and arn.startswith("arn:"):  # an unconfirmed one ends by itself
                self.aws.sns.unsubscribe(SubscriptionArn=arn)
        self.aws.sns.subscribe(TopicArn=self.arn, Protocol="email", Endpoint=wanted)

    def delete(self) -> None:
        self.aws.sns.delete_topic(TopicArn=self.arn)


class Alarms(Resource):
    """Each goes off when its metric counts at least one within five minutes."""

    kind = "alarms"

{% if cookiecutter.endpoint == 'http_api' %}
    def __init__(self, service: Service, aws: Aws, api: HttpApi) -> None:
        super().__init__(service, aws)
        self.api = api

{% endif %}
    @property
    def names(self) -> list[str]:
        return [f"{self.name}-errors", f"{self.name}-5xx"]

    def desired(self) -> State:
        live = [{"Name": "FunctionName", "Value": self.name}, {"Name": "Resource", "Value": f"{self.name}:{ALIAS}"}]
        errors, server_errors = self.names
{% if cookiecutter.endpoint == 'http_api' %}
        api = [{"Name": "ApiId", "Value": self.api.id}]
{% endif %}
        common = {
            "Statistic": "Sum",
            "Period": 300,
            "EvaluationPeriods": 1,
            "Threshold": 1.0,
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            "TreatMissingData": "notBreaching",
            "AlarmActions": [Topic(self.service, self.aws).arn] if self.service.alarm_email else [],
        }
        return {
            # Time-outs, crashes and failed INITs.
            errors: {"Namespace": "AWS/Lambda", "MetricName": "Errors", "Dimensions": live} | common,
            # Every 500: `Errors` does not see one that the service itself answers, since the invocation succeeds.
{% if cookiecutter.endpoint == 'http_api' %}
            server_errors: {"Namespace": "AWS/ApiGateway", "MetricName": "5xx", "Dimensions": api} | common,
{% else %}
            server_errors: {"Namespace": "AWS/Lambda", "MetricName": "Url5xxCount", "Dimensions": live} | common,
{% endif %}
        }

    def read(self) -> State | None:
        found = self.aws.cloudwatch.describe_alarms(AlarmNames=self.names)["MetricAlarms"]
        if not found:
            return None
        tags = self.aws.cloudwatch.list_tags_for_resource(ResourceARN=found[0]["AlarmArn"])["Tags"]
        return {alarm["AlarmName"]: alarm for alarm in found} | {"tags": tags}

    def create(self) -> None:
        self.update(self.desired())

    def update(self, changed: State) -> None:
{% if cookiecutter.endpoint == 'http_api' %}
        wanted = self.desired()  # by now the API has its id
        for name in changed:
            self.aws.cloudwatch.put_metric_alarm(AlarmName=name, Tags=self.service.tag_list, **wanted[name])
{% else %}
        for name, alarm in changed.items():
            self.aws.cloudwatch.put_metric_alarm(AlarmName=name, Tags=self.service.tag_list, **alarm)
{% endif %}

    def delete(self) -> None:
        there = self.read() or {}  # one only, after a deploy that was interrupted between the two
        self.aws.cloudwatch.delete_alarms(AlarmNames=[name for name in self.names if name in there])
