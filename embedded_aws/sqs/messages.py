"""The messages of one SQS queue: which are visible, delayed or in flight, and the receipt handles of each."""

import copy
import heapq
import itertools
import random
import secrets

from moto.sqs.exceptions import ReceiptHandleIsInvalid
from moto.sqs.models import Message


class Messages:
    """The messages of a queue. Times are milliseconds on the emulator's clock. The caller holds `moto_lock`.

    A standard queue has no order: each visible message can be the next one. Call `show_due` before all other methods,
    because a message becomes visible as time passes.
    """

    def __init__(self, generator: random.Random) -> None:
        self.in_flight: set[Message] = set()
        self.delayed: set[Message] = set()
        self._random = generator
        self._visible: list[Message] = []
        self._hidden: list[tuple[float, int, Message]] = []  # a heap; entries may be outdated
        self._hidden_until: dict[Message, float] = {}
        self._by_handle: dict[str, Message] = {}
        self._handles: dict[Message, list[str]] = {}
        self._handle_prefix = secrets.token_urlsafe(15)  # marks the handles of this queue, also of deleted messages
        self._counter = itertools.count()

    @property
    def visible_count(self) -> int:
        """The number of messages that can be received."""
        return len(self._visible)

    @property
    def next_due_ms(self) -> float | None:
        """The next time at which a hidden message may become visible, or None without hidden messages."""
        return self._hidden[0][0] if self._hidden else None

    def add(self, message: Message) -> None:
        """Add a message that is visible, or delayed if it was sent with a delay."""
        if message.delayed_until > (message.sent_timestamp or 0):
            self.delayed.add(message)
            self._hide(message, message.delayed_until)
        else:
            self._visible.append(message)

    def show_due(self, now_ms: float) -> None:
        """Make the hidden messages visible whose time has come."""
        while self._hidden and self._hidden[0][0] <= now_ms:
            until_ms, _, message = heapq.heappop(self._hidden)
            if self._hidden_until.get(message) == until_ms:
                self._show(message)

    def take(self) -> Message | None:
        """Remove any visible message and return it, or None without one. Its receipt handles stay valid."""
        visible = self._visible
        if not visible:
            return None
        index = self._random.randrange(len(visible))
        visible[index], visible[-1] = visible[-1], visible[index]
        return visible.pop()

    def deliver(self, message: Message, now_ms: float, visibility_timeout_s: int) -> Message:
        """Count a receive, and hide the message for its visibility timeout. Return a copy for the consumer."""
        message.approximate_receive_count += 1
        message.approximate_first_receive_timestamp = message.approximate_first_receive_timestamp or int(now_ms)
        message.receipt_handle = self._handle_prefix + secrets.token_urlsafe(120)
        self._by_handle[message.receipt_handle] = message
        self._handles.setdefault(message, []).append(message.receipt_handle)
        self.in_flight.add(message)
        self._hide(message, now_ms + visibility_timeout_s * 1000)
        return copy.copy(message)

    def delete(self, receipt_handle: str) -> None:
        """Delete a message. Ignore an older receipt handle than that of the last receive, and a deleted message.

        Raise ReceiptHandleIsInvalid if the queue has never returned the receipt handle.

        https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessage.html
        """
        message = self._find(receipt_handle)
        if message is not None and message.receipt_handle == receipt_handle:
            self._remove(message)

    def change_visibility(self, receipt_handle: str, now_ms: float, timeout_s: int) -> bool:
        """Hide a message that is in flight from now on for this time. Return False if it is not in flight."""
        message = self._find(receipt_handle)
        if message is None or message not in self.in_flight:
            return False
        if timeout_s:
            self._hide(message, now_ms + timeout_s * 1000)
        else:
            self._show(message)
        return True

    def expire(self, now_ms: float, retention_s: int) -> None:
        """Delete the visible messages that are older than the retention period."""
        kept = []
        for message in self._visible:
            if is_expired(message, now_ms, retention_s):
                self.forget(message)
            else:
                kept.append(message)
        self._visible = kept

    def forget(self, message: Message) -> None:
        """Remove the receipt handles of a message that has left the queue."""
        for handle in self._handles.pop(message, []):
            del self._by_handle[handle]

    def clear(self) -> None:
        """Delete all messages."""
        self.in_flight.clear()
        self.delayed.clear()
        self._visible.clear()
        self._hidden.clear()
        self._hidden_until.clear()
        self._by_handle.clear()
        self._handles.clear()

    def _find(self, receipt_handle: str) -> Message | None:
        """Return the message with a receipt handle, or None if it was deleted."""
        if not receipt_handle.startswith(self._handle_prefix):
            raise ReceiptHandleIsInvalid
        return self._by_handle.get(receipt_handle)

    def _remove(self, message: Message) -> None:
        """Remove a message, visible or hidden, with its receipt handles."""
        if message in self._hidden_until:
            self._show(message)
        if message in self._visible:
            self._visible.remove(message)
        self.forget(message)

    def _hide(self, message: Message, until_ms: float) -> None:
        self._hidden_until[message] = until_ms
        heapq.heappush(self._hidden, (until_ms, next(self._counter), message))

    def _show(self, message: Message) -> None:
        del self._hidden_until[message]
        self.in_flight.discard(message)
        self.delayed.discard(message)
        self._visible.append(message)


def is_expired(message: Message, now_ms: float, retention_s: int) -> bool:
    """Return True if the message is older than the retention period, which begins when it is first sent.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html
    """
    return (message.sent_timestamp or 0) + retention_s * 1000 <= now_ms
