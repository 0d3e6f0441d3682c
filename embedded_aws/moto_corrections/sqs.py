"""Corrections of Simple Queue Service."""

import json
from functools import partial
from typing import Any

import moto.sqs.models
from moto.core.responses import ActionResult
from moto.sqs.exceptions import (
    InvalidParameterValue,
    PurgeQueueInProgress,
    QueueDoesNotExist,
    ReceiptHandleIsInvalid,
)
from moto.sqs.models import Message, Queue, SQSBackend
from moto.sqs.responses import SQSResponse

from embedded_aws.calls import Call
from embedded_aws.clock import Clock, Delays
from embedded_aws.errors import AwsError
from embedded_aws.moto_corrections.correction import Corrections, EditResponse, Patch, ServiceCorrections
from embedded_aws.sqs.message_moves import MessageMoves
from embedded_aws.sqs.queues import Queues

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html
RANGES = {
    "DelaySeconds": (0, 900),
    "MaximumMessageSize": (1_024, 1_048_576),
    "MessageRetentionPeriod": (60, 1_209_600),
    "ReceiveMessageWaitTimeSeconds": (0, 20),
    "VisibilityTimeout": (0, 43_200),
}
OTHER_ATTRIBUTES = {
    "ContentBasedDeduplication", "DeduplicationScope", "FifoQueue", "FifoThroughputLimit",
    "KmsDataKeyReusePeriodSeconds", "KmsMasterKeyId", "Policy", "RedriveAllowPolicy", "RedrivePolicy",
    "SqsManagedSseEnabled",
}  # fmt: skip
RECEIVE_RANGES = {"MaxNumberOfMessages": (1, 10), "VisibilityTimeout": (0, 43_200), "WaitTimeSeconds": (0, 20)}
MAX_RECEIVE_COUNT = 1000
MAX_SOURCE_QUEUES = 10
MAX_BATCH_BYTES = 1_048_576
MAX_BATCH_ENTRIES = 10
PURGE_INTERVAL_S = 60


class SqsCorrections(ServiceCorrections):
    """Store messages with the guarantees of AWS, validate parameters, and add the tasks that move messages."""

    def __init__(self, account: str, clock: Clock, delays: Delays, queues: Queues) -> None:
        super().__init__(account)
        self._clock = clock
        self._delays = delays
        self._queues = queues
        self._moves = MessageMoves(clock, delays, queues)
        self._created_at: dict[tuple[str, str], float] = {}  # by Region and name
        self._deleted_at: dict[tuple[str, str], float] = {}

    def corrections(self) -> Corrections:
        """Return the corrections of calls."""
        return {
            ("sqs", "CreateQueue"): self._create_queue,
            ("sqs", "DeleteQueue"): self._delete_queue,
            ("sqs", "ReceiveMessage"): self._receive_message,
            ("sqs", "SendMessage"): self._send_message,
            ("sqs", "SendMessageBatch"): self._send_message_batch,
            ("sqs", "SetQueueAttributes"): self._set_queue_attributes,
        }

    def patches(self) -> list[Patch]:
        """Return the replacements of moto's storage of messages, and the operations that moto lacks."""
        clock, queues, moves = self._clock, self._queues, self._moves
        find_queue, send_batch = SQSBackend.get_queue, SQSBackend.send_message_batch

        def get_queue(backend: SQSBackend, queue_name: str) -> Queue:
            """Do not find a new queue for `Delays.queue_ready_s`. moto finds it immediately.

            https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html
            """
            if not self._is_ready(backend.region_name, queue_name):
                raise QueueDoesNotExist
            return find_queue(backend, queue_name)

        def receive_message(
            backend: SQSBackend, name: str, count: int, wait_s: int, timeout_s: int, names: list[str] | None = None
        ) -> list[Message]:
            """Receive messages without waiting; `wait_for_messages` has waited before."""
            return queues.receive(backend.get_queue(name), count, timeout_s, names)

        def change_message_visibility(
            backend: SQSBackend, queue_name: str, receipt_handle: str, visibility_timeout: int
        ) -> None:
            queues.change_visibility(backend.get_queue(queue_name), receipt_handle, visibility_timeout)

        def change_message_visibility_batch(
            backend: SQSBackend, queue_name: str, entries: list[dict[str, Any]]
        ) -> tuple[list[str], list[dict[str, Any]]]:
            """Report each message that is not in flight as failed. With moto, the whole call would fail."""
            queue = backend.get_queue(queue_name)
            successful, failed = [], []
            for entry in entries:
                timeout_s = int(entry.get("VisibilityTimeout", -1))  # an entry without a timeout is refused, too
                try:
                    queues.change_visibility(queue, entry["ReceiptHandle"], timeout_s)
                    successful.append(entry["Id"])
                except (InvalidParameterValue, ReceiptHandleIsInvalid) as error:
                    failed.append(_failed_entry(entry, error.code, error.message))
            return successful, failed

        def send_message_batch(
            backend: SQSBackend, queue_name: str, entries: dict[str, dict[str, Any]]
        ) -> tuple[list[Message], list[dict[str, Any]]]:
            """Report each message that SendMessage would refuse as failed. moto sends it."""
            limit = int(backend.get_queue(queue_name).maximum_message_size)  # type: ignore[attr-defined]
            accepted, refused = {}, []
            for key, entry in entries.items():
                try:
                    _check_message(entry, limit)
                    accepted[key] = entry
                except AwsError as error:
                    refused.append(_failed_entry(entry, error.code, error.message))
            sent, failed = send_batch(backend, queue_name, accepted)
            return sent, [*failed, *refused]

        def purge_queue(backend: SQSBackend, queue_name: str) -> None:
            """Delete all messages, at most once in 60 s. moto allows it always."""
            queue, now = backend.get_queue(queue_name), clock.time()
            if queue.last_purged_at is not None and now - queue.last_purged_at < PURGE_INTERVAL_S:
                raise PurgeQueueInProgress(queue_name)
            queue.last_purged_at = now
            queues.messages(queue).clear()

        def start_message_move_task(response: SQSResponse) -> ActionResult:
            names = ("SourceArn", "DestinationArn", "MaxNumberOfMessagesPerSecond")
            source, destination, rate = (response._get_param(name) for name in names)
            return ActionResult(moves.start(response.region, source, destination or "", rate))

        def list_message_move_tasks(response: SQSResponse) -> ActionResult:
            count = response._get_param("MaxResults") or 1
            return ActionResult(moves.list(response.region, response._get_param("SourceArn"), count))

        def cancel_message_move_task(response: SQSResponse) -> ActionResult:
            return ActionResult(moves.cancel(response._get_param("TaskHandle")))

        counts = ("messages", "messages_not_visible", "messages_delayed")
        return [
            (moto.sqs.models, "unix_time", lambda: int(clock.time())),
            (moto.sqs.models, "unix_time_millis", lambda: int(clock.time() * 1000)),
            (Queue, "add_message", lambda queue, message: queues.add(queue, message)),
            (Queue, "delete_message", lambda queue, receipt_handle: queues.delete(queue, receipt_handle)),
            (Queue, "BASE_ATTRIBUTES", [*Queue.BASE_ATTRIBUTES, "RedriveAllowPolicy"]),
            (Queue, "redrive_allow_policy", None),
            *(
                (Queue, f"approximate_number_of_{name}", property(partial(_count, queues, index)))
                for index, name in enumerate(counts)
            ),
            (SQSBackend, "receive_message", receive_message),
            (SQSBackend, "change_message_visibility", change_message_visibility),
            (SQSBackend, "change_message_visibility_batch", change_message_visibility_batch),
            (SQSBackend, "get_queue", get_queue),
            (SQSBackend, "purge_queue", purge_queue),
            (SQSBackend, "send_message_batch", send_message_batch),
            (SQSResponse, "start_message_move_task", start_message_move_task),
            (SQSResponse, "list_message_move_tasks", list_message_move_tasks),
            (SQSResponse, "cancel_message_move_task", cancel_message_move_task),
        ]

    def wait_for_messages(self, call: Call) -> None:
        """Wait until ReceiveMessage can return a message, for the time that the call or the queue states.

        moto waits too, but no other call can be made in the meantime.
        """
        queue = self._queues.find(call.region, str(call.params.get("QueueUrl")))
        if queue is None:
            return
        default_s = queue.receive_message_wait_time_seconds  # type: ignore[attr-defined]
        wait_s = int(call.params.get("WaitTimeSeconds", default_s))
        if 0 < wait_s <= RECEIVE_RANGES["WaitTimeSeconds"][1]:
            self._queues.wait_for_messages(queue, wait_s)

    def _is_ready(self, region: str, name: str) -> bool:
        """Return True if a queue, if it exists, can be used."""
        created_at = self._created_at.get((region, name))
        return created_at is None or self._clock.time() - created_at >= self._delays.queue_ready_s

    def _create_queue(self, call: Call) -> EditResponse:
        """Refuse the name of a queue that was deleted a short time ago, and different attributes. moto accepts both.

        A call for an existing queue changes nothing. moto replaces its tags.
        https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html
        """
        name = call.params["QueueName"]
        deleted_at = self._deleted_at.get((call.region, name))
        if deleted_at is not None and self._clock.time() - deleted_at < self._delays.queue_name_s:
            raise AwsError(
                "QueueDeletedRecently",
                "You must wait 60 seconds after deleting a queue before you can create another with the same name.",
            )
        attributes = call.params.get("Attributes") or {}
        self._check_attributes(call.region, name, attributes)
        queue = self._queues.find(call.region, name)
        if queue is None:
            return lambda response: self._created_at.update({(call.region, name): self._clock.time()})
        current = {key: str(value) for key, value in queue.attributes.items()}
        for key, value in attributes.items():
            if _normalized(key, current.get(key)) != _normalized(key, value):
                message = f"A queue already exists with the same name and a different value for attribute {key}"
                raise AwsError("QueueNameExists", message)
        tags = dict(queue.tags)

        def restore_tags(response: object) -> None:
            queue.tags = tags

        return restore_tags

    def _delete_queue(self, call: Call) -> EditResponse:
        """Remember when a queue was deleted (see CreateQueue)."""
        name = str(call.params["QueueUrl"]).rpartition("/")[2]

        def remember(response: object) -> None:
            self._deleted_at[call.region, name] = self._clock.time()
            self._queues.changed.notify_all()

        return remember

    def _set_queue_attributes(self, call: Call) -> None:
        """Validate the attributes. moto accepts unknown ones and any number."""
        name = str(call.params["QueueUrl"]).rpartition("/")[2]
        self._check_attributes(call.region, name, call.params.get("Attributes") or {})

    def _check_attributes(self, region: str, name: str, attributes: dict[str, str]) -> None:
        for key, value in attributes.items():
            if key not in RANGES and key not in OTHER_ATTRIBUTES:
                raise AwsError("InvalidAttributeName", f"Unknown Attribute {key}.")
            if key in RANGES and not _is_within(value, *RANGES[key]):
                raise _invalid_attribute(key)
        if (policy := attributes.get("Policy")) and _parse_object(policy) is None:
            raise _invalid_attribute("Policy")
        if policy := attributes.get("RedrivePolicy"):
            self._check_redrive_policy(region, name, policy)
        if policy := attributes.get("RedriveAllowPolicy"):
            _check_redrive_allow_policy(policy)

    def _check_redrive_policy(self, region: str, name: str, policy: str) -> None:
        """Require an existing dead-letter queue that allows this source, and 1 to 1,000 receives.

        moto accepts any number of receives, and ignores what the dead-letter queue allows.
        https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html
        """
        prefix = f"Value {policy} for parameter RedrivePolicy is invalid. Reason: "
        content = _json_object(policy, "RedrivePolicy")
        target = self._queues.by_arn(str(content.get("deadLetterTargetArn")))
        if target is None:
            raise AwsError("InvalidParameterValue", prefix + "Dead letter target does not exist.")
        source = f"arn:aws:sqs:{region}:{self._account}:{name}"
        if target.queue_arn == source:  # the message is not AWS's
            raise AwsError("InvalidParameterValue", prefix + "A queue cannot be its own dead-letter queue.")
        if not _is_within(str(content.get("maxReceiveCount")), 1, MAX_RECEIVE_COUNT):
            raise AwsError(
                "InvalidParameterValue",
                f"{prefix}Invalid value for maxReceiveCount: {content.get('maxReceiveCount')}, valid values are from "
                f"1 to {MAX_RECEIVE_COUNT} both inclusive.",
            )
        allowed = json.loads(target.redrive_allow_policy or "{}")  # type: ignore[attr-defined]
        permission = allowed.get("redrivePermission", "allowAll")
        if permission == "denyAll" or (permission == "byQueue" and source not in allowed["sourceQueueArns"]):
            # the message is not AWS's
            raise AwsError("InvalidParameterValue", prefix + "The dead-letter queue does not allow this source queue.")

    def _send_message(self, call: Call) -> None:
        """Validate the message. moto counts only the characters of the body.

        https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
        """
        queue = self._queues.find(call.region, str(call.params["QueueUrl"]))
        if queue is not None:
            _check_message(call.params, int(queue.maximum_message_size))  # type: ignore[attr-defined]

    def _send_message_batch(self, call: Call) -> None:
        """Check the number, the IDs and the size of all entries. moto counts no attributes."""
        entries = call.params.get("Entries") or []
        ids = [entry["Id"] for entry in entries]
        if len(ids) > MAX_BATCH_ENTRIES:
            message = f"Maximum number of entries per request are {MAX_BATCH_ENTRIES}. You have sent {len(ids)}."
            raise AwsError("TooManyEntriesInBatchRequest", message)
        if repeated := [name for name in ids if ids.count(name) > 1]:
            raise AwsError("BatchEntryIdsNotDistinct", f"Id {repeated[0]} repeated.")
        size = sum(_size(entry) for entry in entries)
        if size > MAX_BATCH_BYTES:
            message = f"Batch requests cannot be longer than {MAX_BATCH_BYTES} bytes. You have sent {size} bytes."
            raise AwsError("BatchRequestTooLong", message)

    def _receive_message(self, call: Call) -> None:
        """Refuse parameters that are out of range. moto's messages differ, and it accepts negative ones."""
        for key, (minimum, maximum) in RECEIVE_RANGES.items():
            value = call.params.get(key)
            if value is not None and not minimum <= value <= maximum:
                raise AwsError(
                    "InvalidParameterValue",
                    f"Value {value} for parameter {key} is invalid. Reason: Must be between {minimum} and {maximum}, "
                    "if provided.",
                )


def _count(queues: Queues, index: int, queue: Queue) -> int:
    return queues.counts(queue)[index]


def _failed_entry(entry: dict[str, Any], code: str, message: str) -> dict[str, Any]:
    """Return the description of an entry of a batch that has failed."""
    return {"Id": entry["Id"], "SenderFault": True, "Code": code, "Message": message}


def _check_message(message: dict[str, Any], limit: int) -> None:
    """Raise AwsError if the message is empty, has more than `limit` bytes or contains characters that SQS refuses."""
    if not message.get("MessageBody"):
        raise AwsError("MissingParameter", "The request must contain the parameter MessageBody.")
    if _size(message) > limit:
        raise AwsError(
            "InvalidParameterValue",
            f"One or more parameters are invalid. Reason: Message must be shorter than {limit} bytes.",
        )
    if any(not _is_allowed(character) for character in message["MessageBody"]):
        raise AwsError(
            "InvalidMessageContents",
            "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | "
            "#xE000 to #xFFFD | #x10000 to #x10FFFF",
        )


def _check_redrive_allow_policy(policy: str) -> None:
    """Require a permission, and up to ten source queues for byQueue. moto does not know this attribute.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html
    """
    content = _json_object(policy, "RedriveAllowPolicy")
    permission, sources = content.get("redrivePermission"), content.get("sourceQueueArns")
    is_valid = {
        "allowAll": not sources,
        "denyAll": not sources,
        "byQueue": isinstance(sources, list) and 1 <= len(sources) <= MAX_SOURCE_QUEUES,
    }
    if not is_valid.get(str(permission)):  # the message is not AWS's
        message = f"Value {policy} for parameter RedriveAllowPolicy is invalid."
        raise AwsError("InvalidParameterValue", message)


def _parse_object(text: str) -> dict[str, Any] | None:
    """Return a JSON object, or None if the text is not one."""
    try:
        content = json.loads(text)
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def _json_object(text: str, parameter: str) -> dict[str, Any]:
    content = _parse_object(text)
    if content is None:
        message = f"Value {text} for parameter {parameter} is invalid. Reason: Redrive policy is not a valid JSON map."
        raise AwsError("InvalidParameterValue", message)
    return content


def _is_within(value: str, minimum: int, maximum: int) -> bool:
    return value.isdecimal() and minimum <= int(value) <= maximum


def _invalid_attribute(name: str) -> AwsError:
    return AwsError("InvalidAttributeValue", f"Invalid value for the parameter {name}.")


def _normalized(key: str, value: str | None) -> object:
    """Return a value that equals another one if they mean the same."""
    if key in ("Policy", "RedriveAllowPolicy", "RedrivePolicy") and value:
        content = json.loads(value)
        return {name: str(member) for name, member in content.items()}
    return str(value).lower()


def _size(message: dict[str, Any]) -> int:
    """Return the size of a message in bytes: the body, and the name, type and value of each attribute."""
    size = len(str(message.get("MessageBody", "")).encode())
    for name, value in (message.get("MessageAttributes") or {}).items():
        size += len(name.encode()) + len(value.get("DataType", "").encode())
        size += len(value.get("StringValue", "").encode()) + len(value.get("BinaryValue") or b"")
    return size


def _is_allowed(character: str) -> bool:
    is_surrogate = "\ud800" <= character <= "\udfff"
    return character in "\t\n\r" or (character >= " " and not is_surrogate and character not in "\ufffe\uffff")
