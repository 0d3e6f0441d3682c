"""Corrections of Simple Notification Service."""

import re
from typing import Any

from moto.sns.models import sns_backends
from werkzeug import Response

from embedded_aws.calls import Call
from embedded_aws.errors import AwsError
from embedded_aws.moto_corrections.correction import Corrections, EditResponse, ServiceCorrections

ARN_ELEMENT = re.compile(r"<SubscriptionArn>[^<]*</SubscriptionArn>")
EMAIL_SUBSCRIPTION = re.compile(
    r"<member>(?:(?!</member>).)*<Protocol>email</Protocol>(?:(?!</member>).)*</member>", re.S
)


class SnsCorrections(ServiceCorrections):
    """Let e-mail subscriptions wait for their confirmation, and protect the tags of topics.

    `confirmed` contains the e-mail addresses whose owners have confirmed.
    """

    def __init__(self, account: str) -> None:
        super().__init__(account)
        self.confirmed: set[str] = set()

    def corrections(self) -> Corrections:
        """Return the corrections of calls."""
        return {
            ("sns", "CreateTopic"): self._create_topic,
            ("sns", "ListSubscriptionsByTopic"): self._list_subscriptions_by_topic,
            ("sns", "Subscribe"): self._subscribe,
            ("sns", "Unsubscribe"): self._unsubscribe,
        }

    def _create_topic(self, call: Call) -> None:
        """Refuse to create an existing topic with different tags. moto accepts it.

        https://docs.aws.amazon.com/sns/latest/api/API_CreateTopic.html
        """
        arn = f"arn:aws:sns:{call.region}:{self._account}:{call.params['Name']}"
        topic: Any = sns_backends[self._account][call.region].topics.get(arn)
        tags = {tag["Key"]: tag["Value"] for tag in call.params.get("Tags") or []}
        if topic and tags and tags != topic._tags:
            message = "Invalid parameter: Tags Reason: Topic already exists with different tags"
            raise AwsError("InvalidParameter", message)

    def _subscribe(self, call: Call) -> EditResponse | None:
        """Return no ARN for an e-mail address until its owner has confirmed. moto confirms it immediately.

        https://docs.aws.amazon.com/sns/latest/api/API_Subscribe.html
        """
        if call.params.get("Protocol") != "email" or call.params.get("ReturnSubscriptionArn"):
            return None

        def hide_arn(response: Response) -> None:
            pending = "<SubscriptionArn>pending confirmation</SubscriptionArn>"
            response.set_data(ARN_ELEMENT.sub(pending, response.get_data(as_text=True)))

        return hide_arn

    def _list_subscriptions_by_topic(self, call: Call) -> EditResponse:
        """List PendingConfirmation instead of an ARN until the owner has confirmed. moto lists every ARN.

        https://docs.aws.amazon.com/sns/latest/dg/sns-email-notifications.html
        """

        def hide_arn(member: re.Match[str]) -> str:
            if any(f"<Endpoint>{email}</Endpoint>" in member[0] for email in self.confirmed):
                return member[0]
            return ARN_ELEMENT.sub("<SubscriptionArn>PendingConfirmation</SubscriptionArn>", member[0])

        def hide_arns(response: Response) -> None:
            response.set_data(EMAIL_SUBSCRIPTION.sub(hide_arn, response.get_data(as_text=True)))

        return hide_arns

    def _unsubscribe(self, call: Call) -> None:
        """Refuse to delete a subscription that is not confirmed. moto ignores the call.

        AWS deletes such a subscription after two days, or together with its topic.

        https://docs.aws.amazon.com/sns/latest/api/API_Unsubscribe.html
        """
        if not str(call.params.get("SubscriptionArn")).startswith("arn:"):
            message = "Invalid parameter: SubscriptionArn Reason: An ARN must have at least 6 elements, not 1"
            raise AwsError("InvalidParameter", message)
