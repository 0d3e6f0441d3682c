"""An SQS queue with a dead-letter queue, for tests of the embedded AWS."""

import json
import time
from collections.abc import Callable
from typing import Any

from embedded_aws.server import EmbeddedAws

POLLER_ACTIONS = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]


class SampleQueue:
    """The queue `jobs`, whose messages are moved to the queue `failed` after two receives."""

    def __init__(self, aws: EmbeddedAws, **attributes: str) -> None:
        self.aws = aws
        self.client = aws.client("sqs")
        self.failed_url = self.create("failed")
        self.failed_arn = self.arn_of(self.failed_url)
        redrive = json.dumps({"deadLetterTargetArn": self.failed_arn, "maxReceiveCount": 2})
        self.url = self.create("jobs", RedrivePolicy=redrive, **attributes)
        self.arn = self.arn_of(self.url)

    def create(self, name: str, **attributes: str) -> str:
        """Create a queue, and return its URL."""
        return str(self.client.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"])

    def arn_of(self, url: str) -> str:
        """Return the ARN of a queue."""
        response = self.client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return str(response["Attributes"]["QueueArn"])

    @property
    def permission(self) -> dict[str, Any]:
        """The statement that a function's role needs to receive the messages."""
        return {"Effect": "Allow", "Action": POLLER_ACTIONS, "Resource": self.arn}

    def send(self, *bodies: str, url: str = "") -> list[str]:
        """Send messages, and return their IDs."""
        return [self.client.send_message(QueueUrl=url or self.url, MessageBody=body)["MessageId"] for body in bodies]

    def receive(self, url: str = "", **parameters: Any) -> list[dict[str, Any]]:
        """Receive up to ten messages with all attributes."""
        defaults = {"MaxNumberOfMessages": 10, "MessageSystemAttributeNames": ["All"]}
        messages = self.client.receive_message(QueueUrl=url or self.url, **{**defaults, **parameters})
        return list(messages.get("Messages", []))

    def counts(self, url: str = "") -> tuple[int, int, int]:
        """Return the numbers of visible, in-flight and delayed messages."""
        attributes = self.client.get_queue_attributes(QueueUrl=url or self.url, AttributeNames=["All"])["Attributes"]
        names = ("", "NotVisible", "Delayed")
        visible, in_flight, delayed = (int(attributes[f"ApproximateNumberOfMessages{name}"]) for name in names)
        return visible, in_flight, delayed


def wait_until(condition: Callable[[], object], timeout_s: float = 60) -> None:
    """Wait, in real time, until the condition is true. Raise AssertionError if it is not true at the timeout."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.02)
    assert condition(), "the condition did not become true"
