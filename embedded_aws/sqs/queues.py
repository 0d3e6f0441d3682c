"""The queues of SQS: find them, send and receive messages, and wait for changes.

moto stores the queues and their attributes. Their messages are stored here, because moto's messages use the time of
this machine, keep their order, and are searched one by one for each call.
"""

import copy
import random
import threading
from functools import partial
from weakref import WeakKeyDictionary

from moto.sqs.exceptions import InvalidParameterValue, OverLimit
from moto.sqs.models import Message, Queue, _filter_message_attributes, sqs_backends

from embedded_aws.clock import Clock
from embedded_aws.moto_state import moto_lock
from embedded_aws.sqs.messages import Messages, is_expired

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
MAX_IN_FLIGHT = 120_000
MAX_VISIBILITY_TIMEOUT_S = 43_200


class Queues:
    """The queues of an account in all Regions. Hold `changed` to use them; it is notified of each change.

    SQS delivers each message at least once. `duplicate_rate` is the share of receives after which a message is
    delivered once more; `seed` makes the selection repeatable.
    """

    def __init__(self, account: str, clock: Clock) -> None:
        self.changed = threading.Condition(moto_lock)
        self.duplicate_rate = 0.0
        self.max_in_flight = MAX_IN_FLIGHT
        self._account = account
        self._clock = clock
        self._random = random.Random(0)  # noqa: S311
        self._messages: WeakKeyDictionary[Queue, Messages] = WeakKeyDictionary()
        self._wake_times_ms: set[float] = set()  # those of the pending timers

    def deliver_twice(self, rate: float, seed: int = 0) -> None:
        """Deliver this share of the messages twice from now on."""
        self.duplicate_rate = rate
        self._random.seed(seed)

    def by_arn(self, arn: str) -> Queue | None:
        """Return the queue with an ARN, or None."""
        parts = arn.split(":")
        if len(parts) != 6 or parts[2] != "sqs" or parts[4] != self._account:
            return None
        return self.find(parts[3], parts[5])

    def find(self, region: str, name_or_url: str) -> Queue | None:
        """Return the queue with this name or URL, or None."""
        return sqs_backends[self._account][region].queues.get(name_or_url.rpartition("/")[2])

    def all(self, region: str) -> list[Queue]:
        """Return the queues of a Region."""
        return list(sqs_backends[self._account][region].queues.values())

    def messages(self, queue: Queue) -> Messages:
        """Return the messages of a queue as they are at the current time."""
        if queue not in self._messages:
            self._messages[queue] = Messages(self._random)
        messages = self._messages[queue]
        messages.show_due(self._now_ms())
        return messages

    def counts(self, queue: Queue) -> tuple[int, int, int]:
        """Return the numbers of visible, in-flight and delayed messages."""
        messages = self.messages(queue)
        messages.expire(self._now_ms(), int(queue.message_retention_period))  # type: ignore[attr-defined]
        return messages.visible_count, len(messages.in_flight), len(messages.delayed)

    def has_visible(self, queue: Queue) -> bool:
        """Return True if a message can be received."""
        return self.messages(queue).visible_count > 0

    def add(self, queue: Queue, message: Message) -> None:
        """Add a message to a queue."""
        with self.changed:
            self.messages(queue).add(message)
            self._notify()

    def receive(
        self, queue: Queue, count: int, visibility_timeout_s: int, attribute_names: list[str] | None = None
    ) -> list[Message]:
        """Receive up to `count` messages. Move messages that were received too often to the dead-letter queue."""
        messages, now_ms = self.messages(queue), self._now_ms()
        received: list[Message] = []
        duplicates: list[Message] = []
        while len(received) < count and (message := messages.take()):
            if is_expired(message, now_ms, int(queue.message_retention_period)):  # type: ignore[attr-defined]
                messages.forget(message)
                continue
            if target := self._dead_letter_queue(queue, message):
                message.source_arn = queue.queue_arn  # type: ignore[attr-defined]
                messages.forget(message)
                self.messages(target).add(message)
                continue
            if len(messages.in_flight) >= self.max_in_flight:
                messages.add(message)
                if not received:
                    raise OverLimit(len(messages.in_flight))
                break
            delivered = messages.deliver(message, now_ms, visibility_timeout_s)
            if self._random.random() < self.duplicate_rate:
                duplicates.append(copy.copy(message))
            _filter_message_attributes(delivered, attribute_names or [])
            received.append(delivered)
        for message in duplicates:  # as if a server had missed that they were received
            messages.add(message)
        self._notify()
        return received

    def take(self, queue: Queue) -> Message | None:
        """Remove any visible message from a queue and return it, or None."""
        return self.messages(queue).take()

    def forget(self, queue: Queue, message: Message) -> None:
        """Remove the receipt handles of a message that was taken and does not return to the queue."""
        self.messages(queue).forget(message)

    def sources(self, queue: Queue) -> list[Queue]:
        """Return the queues whose dead-letter queue this is."""
        return [
            source
            for source in self.all(queue.region)
            if (source.redrive_policy or {}).get("deadLetterTargetArn") == queue.queue_arn
        ]

    def delete(self, queue: Queue, receipt_handle: str) -> None:
        """Delete a message."""
        self.messages(queue).delete(receipt_handle)

    def change_visibility(self, queue: Queue, receipt_handle: str, timeout_s: int) -> None:
        """Hide a message that is in flight from now on for this time."""
        if not 0 <= timeout_s <= MAX_VISIBILITY_TIMEOUT_S:
            raise InvalidParameterValue(
                f"Value {timeout_s} for parameter VisibilityTimeout is invalid. Reason: Must be between 0 and "
                f"{MAX_VISIBILITY_TIMEOUT_S}, if provided."
            )
        if not self.messages(queue).change_visibility(receipt_handle, self._now_ms(), timeout_s):
            raise InvalidParameterValue(
                f"Value {receipt_handle} for parameter ReceiptHandle is invalid. "
                "Reason: Message does not exist or is not available for visibility timeout change."
            )
        self._notify()

    def wait_for_messages(self, queue: Queue, seconds: float) -> None:
        """Wait, in real time, until a message can be received. The caller does not hold the lock."""
        with self.changed:
            self.changed.wait_for(lambda: self.has_visible(queue), seconds)

    def _dead_letter_queue(self, queue: Queue, message: Message) -> Queue | None:
        """Return the dead-letter queue if the message was received too often and the queue exists."""
        policy = queue.redrive_policy
        if not policy or message.approximate_receive_count < int(policy["maxReceiveCount"]):
            return None
        return self.by_arn(str(policy["deadLetterTargetArn"]))

    def _notify(self) -> None:
        """Wake all who wait for a change, now and when the next hidden message becomes visible."""
        self.changed.notify_all()
        now_ms = self._now_ms()
        for messages in self._messages.values():
            messages.show_due(now_ms)
        times = [messages.next_due_ms for messages in self._messages.values()]
        next_ms = min((time_ms for time_ms in times if time_ms is not None), default=None)
        if next_ms is None or any(time_ms <= next_ms for time_ms in self._wake_times_ms):
            return  # a timer that is pending calls _wake early enough
        self._wake_times_ms.add(next_ms)
        self._clock.call_later((next_ms - now_ms) / 1000, partial(self._wake, next_ms))

    def _wake(self, time_ms: float) -> None:
        with self.changed:
            self._wake_times_ms.discard(time_ms)
            self._notify()

    def _now_ms(self) -> float:
        return self._clock.time() * 1000
