"""Where moto, which answers for every service but Lambda, differs from AWS in a call that a deployment makes."""

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any
from unittest.mock import patch

import boto3
import botocore.session
from moto.acm.models import CertBundle
from moto.apigatewayv2.responses import ApiGatewayV2Response
from moto.applicationautoscaling.models import applicationautoscaling_backends
from moto.cloudwatch.models import CloudWatchBackend, cloudwatch_backends
from moto.core.base_backend import AccountSpecificBackend
from moto.core.responses import EmptyResult
from moto.ecr.models import ecr_backends
from moto.iam.responses import IamResponse
from moto.logs.models import logs_backends
from moto.sns.models import sns_backends
from werkzeug import Response

from embedded_aws.calls import Call
from embedded_aws.clock import Clock
from embedded_aws.cloudwatch.metrics import alarm_state, get_metric_statistics
from embedded_aws.errors import AwsError
from embedded_aws.moto_corrections.api_gateway import issued_by, update_stage
from embedded_aws.moto_corrections.secrets_manager import SecretsManager
from embedded_aws.route53.public_dns import PublicDns

Afterwards = Callable[[Response], None]
Correction = Callable[[Call], Afterwards | None]

# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
RETENTION_DAYS = (
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
)  # fmt: skip


@cache
def session() -> boto3.session.Session:
    """One for all clients, since it keeps the service models it has read; blind to the user's profiles."""
    unset = {"profile": (None, None, None, None)}
    files = dict.fromkeys(("config_file", "credentials_file"), (None, None, os.devnull, None))
    return boto3.session.Session(botocore_session=botocore.session.Session(session_vars=unset | files))


@contextmanager
def applied(dns: PublicDns) -> Iterator[None]:
    """While entered, statistics are of exactly the dimensions asked for, and moto does not read the user's profiles."""
    with (
        patch.object(CloudWatchBackend, "get_metric_statistics", get_metric_statistics),
        patch.object(AccountSpecificBackend, "get_session", session),
        patch.object(CertBundle, "check", issued_by(dns)),
        patch.object(ApiGatewayV2Response, "update_stage", update_stage, create=True),
        patch.object(IamResponse, "add_client_id_to_open_id_connect_provider", add_client_id, create=True),
    ):
        yield


def add_client_id(self: IamResponse) -> EmptyResult:
    """AddClientIDToOpenIDConnectProvider, which moto lacks."""
    provider = self.backend.get_open_id_connect_provider(self._get_param("OpenIDConnectProviderArn"))
    provider.client_id_list.append(self._get_param("ClientID"))
    return EmptyResult()


class Corrections:
    """Each runs before moto answers; it raises what AWS answers instead, or returns what corrects moto's answer."""

    def __init__(self, account: str, clock: Clock, more: Mapping[tuple[str, str], Correction]) -> None:
        self._account = account
        self._clock = clock
        self.confirmed: set[str] = set()  # the e-mail addresses whose owners have followed the link in AWS's mail
        self._corrections: dict[tuple[str, str], Correction] = {
            **more,
            ("application-autoscaling", "DeregisterScalableTarget"): self._deregister_scalable_target,
            ("cloudwatch", "DeleteAlarms"): self._delete_alarms,
            ("cloudwatch", "DescribeAlarms"): self._describe_alarms,
            ("cloudwatch", "PutMetricAlarm"): self._put_metric_alarm,
            ("ecr", "BatchDeleteImage"): self._batch_delete_image,
            ("logs", "ListTagsForResource"): self._list_tags_of_log_group,
            ("logs", "PutRetentionPolicy"): self._put_retention_policy,
            ("sns", "CreateTopic"): self._create_topic,
            ("sns", "ListSubscriptionsByTopic"): self._list_subscriptions,
            ("sns", "Subscribe"): self._subscribe,
            ("sns", "Unsubscribe"): self._unsubscribe,
            ("ssm", "PutParameter"): self._put_parameter,
            **SecretsManager(account, clock).corrections(),
        }

    def before(self, call: Call) -> Afterwards | None:
        correction = self._corrections.get((call.service, call.operation))
        return correction(call) if correction else None

    def _deregister_scalable_target(self, call: Call) -> None:
        """Scheduled actions go with their target; moto keeps them, and has another error for a target there is not."""
        backend = applicationautoscaling_backends[self._account][call.region]
        resource, dimension = call.params["ResourceId"], call.params["ScalableDimension"]
        if resource not in backend.targets.get(dimension, {}):
            reason = f"No scalable target found for service namespace: lambda, resource ID: {resource}"
            raise AwsError("ObjectNotFoundException", f"{reason}, scalable dimension: {dimension}")
        backend.scheduled_actions = [a for a in backend.scheduled_actions if a.resource_id != resource]

    def _delete_alarms(self, call: Call) -> None:
        """An alarm that does not exist is an error, and then none is deleted."""
        alarms = cloudwatch_backends[self._account][call.region].alarms
        missing = [name for name in call.params.get("AlarmNames", []) if name not in alarms]
        if missing:
            raise AwsError("ResourceNotFound", f"Alarms not found: {', '.join(missing)}", 404)

    def _describe_alarms(self, call: Call) -> None:
        """moto never evaluates alarms: do it when somebody looks."""
        backend = cloudwatch_backends[self._account][call.region]
        for alarm in backend.alarms.values():
            if alarm.metric_name:
                state = alarm_state(backend, alarm, self._clock.time())
                if state != alarm.state_value:
                    alarm.update_state("Threshold Crossed" if state == "ALARM" else "Unchecked", "{}", state)

    def _put_metric_alarm(self, call: Call) -> Afterwards | None:
        """Tags count when an alarm is made and are ignored when it is updated."""
        backend = cloudwatch_backends[self._account][call.region]
        alarm = backend.alarms.get(call.params["AlarmName"])
        if alarm is None:
            return None
        arn, tags = alarm.alarm_arn, backend.tagger.get_tag_dict_for_resource(alarm.alarm_arn)

        def keep_tags(response: Response) -> None:
            backend.tagger.delete_all_tags_for_resource(arn)
            backend.tagger.tag_resource(arn, [{"Key": key, "Value": value} for key, value in tags.items()])

        return keep_tags

    def _batch_delete_image(self, call: Call) -> Afterwards | None:
        """The answer names every image deleted; moto leaves out those without a tag."""
        repository = ecr_backends[self._account][call.region].repositories.get(call.params["repositoryName"])
        digests = {i.get("imageDigest") for i in call.params["imageIds"]}
        untagged = [
            image.get_image_digest()
            for image in (repository.images if repository else [])
            if not image.image_tags and image.get_image_digest() in digests
        ]

        def name_them(response: Response) -> None:
            answer: Any = response.get_json(force=True)
            answer["imageIds"] += [{"imageDigest": digest} for digest in untagged]
            response.set_data(json.dumps(answer))

        return name_them if untagged else None

    def _list_tags_of_log_group(self, call: Call) -> None:
        """Takes the ARN without ":*", of a group that exists."""
        arn = str(call.params.get("resourceArn"))
        if arn.endswith("*"):
            raise AwsError(
                "InvalidParameterException",
                f"1 validation error detected: Value '{arn}' at 'resourceArn' failed to satisfy constraint: "
                r"Member must satisfy regular expression pattern: [\w+=/:,.@-]*",
            )
        name = arn.partition(":log-group:")[2]
        if name and name not in logs_backends[self._account][call.region].groups:
            raise AwsError("ResourceNotFoundException", "The specified log group does not exist.")

    def _put_retention_policy(self, call: Call) -> None:
        days = call.params.get("retentionInDays")
        if days not in RETENTION_DAYS:
            allowed = ", ".join(map(str, RETENTION_DAYS))
            raise AwsError(
                "InvalidParameterException",
                f"1 validation error detected: Value '{days}' at 'retentionInDays' failed to satisfy constraint: "
                f"Member must satisfy enum value set: [{allowed}]",
            )

    def _create_topic(self, call: Call) -> None:
        """Making a topic again is fine, but not with other tags."""
        arn = f"arn:aws:sns:{call.region}:{self._account}:{call.params['Name']}"
        topic: Any = sns_backends[self._account][call.region].topics.get(arn)
        wanted = {tag["Key"]: tag["Value"] for tag in call.params.get("Tags") or []}
        if topic and wanted and wanted != topic._tags:
            reason = "Invalid parameter: Tags Reason: Topic already exists with different tags"
            raise AwsError("InvalidParameter", reason)

    def _subscribe(self, call: Call) -> Afterwards | None:
        """An e-mail address has to confirm first; until then the subscription has no ARN."""
        if call.params.get("Protocol") != "email" or call.params.get("ReturnSubscriptionArn"):
            return None
        return lambda response: _replace(response, _ARN, "<SubscriptionArn>pending confirmation</SubscriptionArn>")

    def _list_subscriptions(self, call: Call) -> Afterwards:
        def pending(response: Response) -> None:
            member = re.compile(
                r"<member>(?:(?!</member>).)*<Protocol>email</Protocol>(?:(?!</member>).)*</member>", re.S
            )
            answer = response.get_data(as_text=True)
            unconfirmed = "<SubscriptionArn>PendingConfirmation</SubscriptionArn>"

            def told(found: re.Match[str]) -> str:
                confirmed = any(f"<Endpoint>{email}</Endpoint>" in found[0] for email in self.confirmed)
                return found[0] if confirmed else _ARN.sub(unconfirmed, found[0])

            response.set_data(member.sub(told, answer))

        return pending

    def _unsubscribe(self, call: Call) -> None:
        """What waits for confirmation cannot be unsubscribed; it goes with its topic or after two days."""
        if not str(call.params.get("SubscriptionArn")).startswith("arn:"):
            reason = "Invalid parameter: SubscriptionArn Reason: An ARN must have at least 6 elements, not 1"
            raise AwsError("InvalidParameter", reason)

    def _put_parameter(self, call: Call) -> None:
        if len(call.params["Value"].encode()) > 4096 and call.params.get("Tier", "Standard") == "Standard":
            raise AwsError(
                "ValidationException",
                "Standard tier parameters support a maximum parameter value of 4096 characters. "
                "To create a larger parameter value, upgrade the parameter to use the advanced-parameter tier.",
            )


def log_messages(account: str, region: str, group: str) -> list[str]:
    """Every message of a log group in order of time."""
    held: Any = logs_backends[account][region].groups.get(group)
    streams = list(held.streams.values()) if held else []  # copied: others may be writing
    events = [event for stream in streams for event in list(stream.events)]
    return [event.message for event in sorted(events, key=lambda e: e.timestamp)]


_ARN = re.compile(r"<SubscriptionArn>[^<]*</SubscriptionArn>")


def _replace(response: Response, what: re.Pattern[str], by: str) -> None:
    response.set_data(what.sub(by, response.get_data(as_text=True)))
