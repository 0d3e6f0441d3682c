"""The SNS topic that sends alarms by e-mail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from deploy.errors import DeployError, suppress_errors
from deploy.iam import Statement, allow
from deploy.resource import Check, Resource
from deploy.stage import Stage, tag_list
from deploy.state import State


def topic_arn(stage: Stage) -> str:
    """Return the ARN of the stage's topic."""
    return stage.arn("sns", stage.name)


class Topic(Resource):
    """The topic, if deploy.toml has an alarm_email. AWS sends nothing until the address is confirmed."""

    kind = "SNS topic"
    has_tags = True

    def desired(self) -> State | None:
        return {"email": self.config.alarm_email} if self.config.alarm_email else None

    def read(self) -> State | None:
        with suppress_errors("NotFound", "ResourceNotFound"):
            tags = self.stage.client("sns").list_tags_for_resource(ResourceArn=topic_arn(self.stage))["Tags"]
            emails, wanted = list(self._subscriptions()), self.config.alarm_email
            return {"email": wanted if wanted in emails else ", ".join(emails), "tags": tags}
        return None

    def _subscriptions(self) -> dict[str, str]:
        """Return the ARN of each subscription, or "PendingConfirmation", by e-mail address."""
        topic = topic_arn(self.stage)
        items = self.stage.list_all("sns", "list_subscriptions_by_topic", "Subscriptions", TopicArn=topic)
        return {item["Endpoint"]: item["SubscriptionArn"] for item in items}

    def create(self, desired: State) -> None:
        self.stage.client("sns").create_topic(Name=self.name, Tags=self.stage.tag_list)
        self.update(desired)

    def update(self, changed: State) -> None:
        sns, wanted = self.stage.client("sns"), changed["email"]
        for email, arn in self._subscriptions().items():
            if email != wanted and arn.startswith("arn:"):  # SNS itself deletes those that were never confirmed
                sns.unsubscribe(SubscriptionArn=arn)
        sns.subscribe(TopicArn=topic_arn(self.stage), Protocol="email", Endpoint=wanted)

    def delete(self) -> None:
        self.stage.client("sns").delete_topic(TopicArn=topic_arn(self.stage))

    def add_tags(self, tags: Mapping[str, str]) -> None:
        self.stage.client("sns").tag_resource(ResourceArn=topic_arn(self.stage), Tags=tag_list(tags))

    def remove_tags(self, keys: Sequence[str]) -> None:
        self.stage.client("sns").untag_resource(ResourceArn=topic_arn(self.stage), TagKeys=keys)

    def tag_permissions(self) -> list[Statement]:
        return [allow("sns", "UntagResource", topic_arn(self.stage))]

    def deploy_permissions(self) -> list[Statement]:
        actions = "CreateTopic DeleteTopic ListSubscriptionsByTopic ListTagsForResource Subscribe TagResource"
        return [allow("sns", actions, topic_arn(self.stage)), allow("sns", "Unsubscribe", "*")]

    def checks(self) -> list[Check]:
        """Return the check whether the address has been confirmed."""
        return [Check("alarm_email", self._check_confirmed)]

    def _check_confirmed(self) -> str:
        email = self.config.alarm_email
        if not email:
            return "not set, so nobody is notified of errors"
        if self.read() and not self._subscriptions().get(email, "").startswith("arn:"):
            raise DeployError(
                f"{email} has not been confirmed, so AWS sends nothing to it.",
                "Follow the link in AWS's e-mail. To receive it again, run ./deploy.sh after three days.",
            )
        return email
