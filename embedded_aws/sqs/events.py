"""The events that Lambda creates from SQS messages, and the meaning of a function's response.

https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
"""

import json
from base64 import b64encode
from collections.abc import Sequence
from typing import Any

from moto.sqs.models import Message, Queue


def sqs_event(queue: Queue, messages: Sequence[Message]) -> bytes:
    """Return the event for a batch of messages, as JSON."""
    return json.dumps({"Records": [_record(queue, message) for message in messages]}).encode()


def failed_message_ids(response: bytes, messages: Sequence[Message]) -> set[str]:
    """Return the IDs of the messages that the response of a function reports as failed.

    All messages have failed if the response is invalid, or names a message that is not in the batch.
    """
    ids = {message.id for message in messages}
    try:
        content = json.loads(response or b"null")
        failures = content and content.get("batchItemFailures")
        failed = {failure["itemIdentifier"] for failure in failures or []}
    except (ValueError, AttributeError, TypeError, LookupError):
        return ids
    return failed if failed <= ids else ids


def _record(queue: Queue, message: Message) -> dict[str, Any]:
    attributes = {
        "ApproximateReceiveCount": str(message.approximate_receive_count),
        "SentTimestamp": str(message.sent_timestamp),
        "SenderId": message.sender_id,
        "ApproximateFirstReceiveTimestamp": str(message.approximate_first_receive_timestamp),
    }
    if trace := message.system_attributes.get("AWSTraceHeader"):
        attributes["AWSTraceHeader"] = trace["StringValue"]
    record = {
        "messageId": message.id,
        "receiptHandle": message.receipt_handle,
        "body": message.body,
        "attributes": attributes,
        "messageAttributes": {name: _attribute(value) for name, value in message.message_attributes.items()},
        "md5OfBody": message.body_md5,
        "eventSource": "aws:sqs",
        "eventSourceARN": queue.queue_arn,
        "awsRegion": queue.region,
    }
    if message.message_attributes:
        record["md5OfMessageAttributes"] = message.attribute_md5
    return record


def _attribute(value: dict[str, Any]) -> dict[str, Any]:
    if "BinaryValue" in value:
        content = {"binaryValue": b64encode(value["BinaryValue"]).decode()}
    else:
        content = {"stringValue": value["StringValue"]}
    return {**content, "stringListValues": [], "binaryListValues": [], "dataType": value["DataType"]}
