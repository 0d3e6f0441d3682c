"""Test SQS: messages, dead-letter queues, limits, errors and permissions, where moto differs from AWS."""

import http.client
import json
import threading
import time
from typing import Any

import pytest

from embedded_aws import EmbeddedAws
from embedded_aws.clock import Delays, ManualClock
from tests.support.sample_function import NAME, SampleFunction, raises_client_error
from tests.support.sample_queue import SampleQueue

MAX_BYTES = 1_048_576
SENDS = """
import http.client, json, os
from urllib.parse import urlsplit

def handler(event, context):
    endpoint = urlsplit(os.environ["AWS_ENDPOINT_URL"])
    headers = {
        "content-type": "application/x-amz-json-1.0",
        "x-amz-target": "AmazonSQS.SendMessage",
        "authorization": "AWS4-HMAC-SHA256 Credential=" + os.environ["AWS_ACCESS_KEY_ID"]
        + "/20261129/us-east-1/sqs/aws4_request, SignedHeaders=host, Signature=0",
    }
    connection = http.client.HTTPConnection(endpoint.netloc)
    connection.request("POST", "/", json.dumps({"QueueUrl": event["url"], "MessageBody": "hello"}), headers)
    response = connection.getresponse()
    return [response.status, response.getheader("x-amzn-query-error"), json.loads(response.read())]
"""


@pytest.fixture
def queue(aws: EmbeddedAws) -> SampleQueue:
    """A queue with a dead-letter queue."""
    return SampleQueue(aws)


def bodies(messages: list[dict[str, Any]]) -> list[str]:
    return [message["Body"] for message in messages]


def test_messages_have_no_order_and_are_hidden_until_the_visibility_timeout_has_passed(queue: SampleQueue) -> None:
    sent = [str(number) for number in range(10)]
    queue.send(*sent)
    received = queue.receive()
    assert sorted(bodies(received)) == sent
    assert bodies(received) != sent
    assert queue.receive() == []
    assert queue.counts() == (0, 10, 0)
    queue.aws.clock.advance(29)
    assert queue.receive() == []
    queue.aws.clock.advance(1)
    again = queue.receive()
    assert {message["Attributes"]["ApproximateReceiveCount"] for message in again} == {"2"}
    first = {message["Attributes"]["ApproximateFirstReceiveTimestamp"] for message in received}
    assert {message["Attributes"]["ApproximateFirstReceiveTimestamp"] for message in again} == first


def test_a_message_is_deleted_with_the_receipt_handle_of_the_last_receive_only(queue: SampleQueue) -> None:
    queue.send("a")
    (first,) = queue.receive()
    queue.aws.clock.advance(30)
    (second,) = queue.receive()
    queue.client.delete_message(QueueUrl=queue.url, ReceiptHandle=first["ReceiptHandle"])
    assert queue.counts() == (0, 1, 0)
    queue.client.delete_message(QueueUrl=queue.url, ReceiptHandle=second["ReceiptHandle"])
    assert queue.counts() == (0, 0, 0)
    queue.client.delete_message(QueueUrl=queue.url, ReceiptHandle=second["ReceiptHandle"])
    with raises_client_error("ReceiptHandleIsInvalid"):
        queue.client.delete_message(QueueUrl=queue.url, ReceiptHandle="unknown")


def test_a_deleted_message_leaves_no_timer_and_no_receipt_handle(queue: SampleQueue) -> None:
    queue.client.send_message(QueueUrl=queue.url, MessageBody="later", DelaySeconds=900)
    for _ in range(10):
        queue.send("a")
        (message,) = queue.receive()
        queue.client.delete_message(QueueUrl=queue.url, ReceiptHandle=message["ReceiptHandle"])
        queue.aws.clock.advance(30)
    stored = queue.aws.queues.find("us-east-1", "jobs")
    assert stored
    assert queue.aws.queues.messages(stored)._by_handle == {}
    assert len(queue.aws.queues._wake_times_ms) == 1


def test_a_message_can_be_deleted_after_its_visibility_timeout(queue: SampleQueue) -> None:
    queue.send("a")
    (message,) = queue.receive()
    queue.aws.clock.advance(30)
    assert queue.counts() == (1, 0, 0)
    queue.client.delete_message(QueueUrl=queue.url, ReceiptHandle=message["ReceiptHandle"])
    assert queue.counts() == (0, 0, 0)


def test_the_visibility_of_a_message_in_flight_can_be_changed(queue: SampleQueue) -> None:
    queue.send("a")
    (message,) = queue.receive(VisibilityTimeout=0)
    parameters = {"QueueUrl": queue.url, "ReceiptHandle": message["ReceiptHandle"]}
    with raises_client_error("InvalidParameterValue", "not available for visibility timeout change"):
        queue.client.change_message_visibility(VisibilityTimeout=60, **parameters)
    (message,) = queue.receive()
    parameters["ReceiptHandle"] = message["ReceiptHandle"]
    queue.client.change_message_visibility(VisibilityTimeout=60, **parameters)
    queue.aws.clock.advance(59)
    assert queue.counts() == (0, 1, 0)
    queue.client.change_message_visibility(VisibilityTimeout=0, **parameters)
    assert queue.counts() == (1, 0, 0)


def test_a_message_is_moved_to_the_dead_letter_queue_after_its_last_receive(queue: SampleQueue) -> None:
    (message_id,) = queue.send("a")
    for _ in range(2):
        assert bodies(queue.receive()) == ["a"]
        queue.aws.clock.advance(30)
    assert queue.counts() == (1, 0, 0)
    assert queue.receive() == []
    assert queue.counts() == (0, 0, 0)
    (failed,) = queue.receive(queue.failed_url)
    assert (failed["MessageId"], failed["Body"]) == (message_id, "a")


def test_some_messages_can_be_delivered_twice(queue: SampleQueue) -> None:
    queue.aws.queues.deliver_twice(0.5, seed=1)
    ids = queue.send(*(str(number) for number in range(9)))
    received: list[str] = []
    while messages := queue.receive():
        received += [message["MessageId"] for message in messages]
        for message in messages:
            queue.client.delete_message(QueueUrl=queue.url, ReceiptHandle=message["ReceiptHandle"])
    assert set(received) == set(ids)
    assert len(received) > len(ids)
    assert queue.counts() == (0, 0, 0)


def test_a_message_expires_when_its_retention_period_has_passed_since_it_was_sent(queue: SampleQueue) -> None:
    queue.client.set_queue_attributes(QueueUrl=queue.url, Attributes={"MessageRetentionPeriod": "60"})
    queue.client.set_queue_attributes(QueueUrl=queue.failed_url, Attributes={"MessageRetentionPeriod": "90"})
    queue.send("a")
    queue.aws.clock.advance(60)
    assert queue.receive() == []
    queue.send("b")
    for _ in range(2):
        queue.receive(VisibilityTimeout=0)
    queue.receive()
    queue.aws.clock.advance(89)
    assert queue.counts(queue.failed_url) == (1, 0, 0)
    queue.aws.clock.advance(1)
    assert queue.counts(queue.failed_url) == (0, 0, 0)


def test_a_delayed_message_becomes_visible_later(queue: SampleQueue) -> None:
    queue.client.send_message(QueueUrl=queue.url, MessageBody="a", DelaySeconds=5)
    assert queue.counts() == (0, 0, 1)
    assert queue.receive() == []
    queue.aws.clock.advance(5)
    assert bodies(queue.receive()) == ["a"]


def test_the_size_of_a_message_is_that_of_its_body_and_its_attributes_in_bytes(queue: SampleQueue) -> None:
    def send(body: str, value: str = "") -> None:
        attributes = {"MessageAttributes": {"key": {"DataType": "String", "StringValue": value}}} if value else {}
        queue.client.send_message(QueueUrl=queue.url, MessageBody=body, **attributes)

    send("x" * MAX_BYTES)
    send("x" * (MAX_BYTES - len("keyStringvalue")), "value")
    for body, value in (("x" * (MAX_BYTES - 13), "value"), ("é" * (MAX_BYTES // 2 + 1), "")):
        with raises_client_error("InvalidParameterValue", f"Message must be shorter than {MAX_BYTES} bytes"):
            send(body, value)
    entries = [{"Id": name, "MessageBody": "x" * (MAX_BYTES // 2 + 1)} for name in "ab"]
    with raises_client_error("BatchRequestTooLong", f"You have sent {MAX_BYTES + 2} bytes"):
        queue.client.send_message_batch(QueueUrl=queue.url, Entries=entries)


def test_an_empty_message_and_control_characters_are_refused(queue: SampleQueue) -> None:
    with raises_client_error("MissingParameter", "MessageBody"):
        queue.send("")
    with raises_client_error("InvalidMessageContents"):
        queue.send("a\0b")
    queue.send("a\tb\r\n\U0001f600")


def test_a_batch_reports_each_message_that_is_refused(queue: SampleQueue) -> None:
    """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html"""
    queue.client.set_queue_attributes(QueueUrl=queue.url, Attributes={"MaximumMessageSize": "1024"})
    sent = {"valid": "a", "large": "x" * 1025, "control": "a\0b"}
    entries = [{"Id": name, "MessageBody": body} for name, body in sent.items()]
    response = queue.client.send_message_batch(QueueUrl=queue.url, Entries=entries)
    assert [entry["Id"] for entry in response["Successful"]] == ["valid"]
    codes = {entry["Id"]: entry["Code"] for entry in response["Failed"]}
    assert codes == {"large": "InvalidParameterValue", "control": "InvalidMessageContents"}
    assert bodies(queue.receive()) == ["a"]


def test_a_batch_with_too_many_or_repeated_entries_is_refused(queue: SampleQueue) -> None:
    """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html"""
    entries = [{"Id": str(number), "MessageBody": "a"} for number in range(10)] + [{"Id": "b", "MessageBody": "a\0b"}]
    with raises_client_error("AWS.SimpleQueueService.TooManyEntriesInBatchRequest", "You have sent 11"):
        queue.client.send_message_batch(QueueUrl=queue.url, Entries=entries)
    with raises_client_error("AWS.SimpleQueueService.BatchEntryIdsNotDistinct", "Id b repeated"):
        queue.client.send_message_batch(QueueUrl=queue.url, Entries=[entries[-1], {"Id": "b", "MessageBody": "a"}])
    assert queue.counts() == (0, 0, 0)


def test_a_batch_reports_each_message_whose_visibility_cannot_be_changed(queue: SampleQueue) -> None:
    queue.send("a", "b")
    handles = [message["ReceiptHandle"] for message in queue.receive()]
    queue.client.delete_message(QueueUrl=queue.url, ReceiptHandle=handles[0])
    response = queue.client.change_message_visibility_batch(
        QueueUrl=queue.url,
        Entries=[
            {"Id": str(number), "ReceiptHandle": handle, "VisibilityTimeout": 0}
            for number, handle in enumerate([*handles, "unknown"])
        ],
    )
    assert [entry["Id"] for entry in response["Successful"]] == ["1"]
    codes = {entry["Id"]: entry["Code"] for entry in response["Failed"]}
    assert codes == {"0": "InvalidParameterValue", "2": "ReceiptHandleIsInvalid"}
    assert queue.counts() == (1, 0, 0)


def test_a_new_queue_is_not_found_for_a_while() -> None:
    """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html"""
    with EmbeddedAws(clock=ManualClock(), delays=Delays(queue_ready_s=1)) as aws:
        sqs = aws.client("sqs")
        url = sqs.create_queue(QueueName="jobs")["QueueUrl"]
        with pytest.raises(sqs.exceptions.QueueDoesNotExist):
            sqs.get_queue_url(QueueName="jobs")
        with pytest.raises(sqs.exceptions.QueueDoesNotExist):
            sqs.list_queue_tags(QueueUrl=url)
        aws.clock.advance(1)
        assert sqs.get_queue_url(QueueName="jobs")["QueueUrl"] == url


def test_the_name_of_a_deleted_queue_is_reserved_for_a_while(queue: SampleQueue) -> None:
    queue.client.delete_queue(QueueUrl=queue.url)
    with pytest.raises(queue.client.exceptions.QueueDeletedRecently):
        queue.create("jobs")
    queue.aws.clock.advance(queue.aws.delays.queue_name_s)
    queue.create("jobs")
    assert queue.counts() == (0, 0, 0)


def test_creating_an_existing_queue_changes_nothing_and_needs_the_same_attributes(queue: SampleQueue) -> None:
    queue.client.tag_queue(QueueUrl=queue.url, Tags={"a": "1"})
    assert queue.create("jobs", VisibilityTimeout="30") == queue.url
    queue.client.create_queue(QueueName="jobs", tags={"b": "2"})
    assert queue.client.list_queue_tags(QueueUrl=queue.url)["Tags"] == {"a": "1"}
    with pytest.raises(queue.client.exceptions.QueueNameExists, match="different value for attribute Vis"):
        queue.create("jobs", VisibilityTimeout="31")


@pytest.mark.parametrize(
    ("attribute", "value", "code"),
    [
        ("VisibilityTimeout", "43201", "InvalidAttributeValue"),
        ("VisibilityTimeout", "-1", "InvalidAttributeValue"),
        ("MessageRetentionPeriod", "59", "InvalidAttributeValue"),
        ("MessageRetentionPeriod", "1209601", "InvalidAttributeValue"),
        ("MaximumMessageSize", "1048577", "InvalidAttributeValue"),
        ("DelaySeconds", "901", "InvalidAttributeValue"),
        ("ReceiveMessageWaitTimeSeconds", "21", "InvalidAttributeValue"),
        ("Visibility", "1", "InvalidAttributeName"),
        ("Policy", "{", "InvalidAttributeValue"),
        ("RedrivePolicy", "text", "InvalidParameterValue"),
        ("RedrivePolicy", '{"deadLetterTargetArn": "arn:aws:sqs:us-east-1:1:x", "maxReceiveCount": 2}',
         "InvalidParameterValue"),
        ("RedriveAllowPolicy", '{"redrivePermission": "byQueue"}', "InvalidParameterValue"),
        ("RedriveAllowPolicy", '{"redrivePermission": "some"}', "InvalidParameterValue"),
    ],
)  # fmt: skip
def test_an_invalid_attribute_is_refused(queue: SampleQueue, attribute: str, value: str, code: str) -> None:
    with raises_client_error(code):
        queue.client.set_queue_attributes(QueueUrl=queue.url, Attributes={attribute: value})
    with raises_client_error(code):
        queue.create("other", **{attribute: value})


def test_the_maximum_number_of_receives_is_1_to_1000(queue: SampleQueue) -> None:
    for count, is_valid in ((0, False), (1, True), (1000, True), (1001, False)):
        policy = json.dumps({"deadLetterTargetArn": queue.failed_arn, "maxReceiveCount": count})
        if is_valid:
            queue.client.set_queue_attributes(QueueUrl=queue.url, Attributes={"RedrivePolicy": policy})
        else:
            with raises_client_error("InvalidParameterValue", f"Invalid value for maxReceiveCount: {count}"):
                queue.client.set_queue_attributes(QueueUrl=queue.url, Attributes={"RedrivePolicy": policy})


def test_a_queue_cannot_be_its_own_dead_letter_queue(queue: SampleQueue) -> None:
    policy = json.dumps({"deadLetterTargetArn": queue.arn, "maxReceiveCount": 1})
    with raises_client_error("InvalidParameterValue", "cannot be its own dead-letter queue"):
        queue.client.set_queue_attributes(QueueUrl=queue.url, Attributes={"RedrivePolicy": policy})


def test_a_dead_letter_queue_allows_only_certain_sources(queue: SampleQueue) -> None:
    allowed = json.dumps({"redrivePermission": "byQueue", "sourceQueueArns": [queue.arn]})
    queue.client.set_queue_attributes(QueueUrl=queue.failed_url, Attributes={"RedriveAllowPolicy": allowed})
    attributes = queue.client.get_queue_attributes(QueueUrl=queue.failed_url, AttributeNames=["All"])["Attributes"]
    assert json.loads(attributes["RedriveAllowPolicy"])["sourceQueueArns"] == [queue.arn]
    assert attributes["SqsManagedSseEnabled"] == "true"
    policy = json.dumps({"deadLetterTargetArn": queue.failed_arn, "maxReceiveCount": 5})
    queue.client.set_queue_attributes(QueueUrl=queue.url, Attributes={"RedrivePolicy": policy})
    with raises_client_error("InvalidParameterValue", "does not allow this source queue"):
        queue.create("other", RedrivePolicy=policy)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [("MaxNumberOfMessages", 11), ("MaxNumberOfMessages", 0), ("VisibilityTimeout", 43_201), ("WaitTimeSeconds", 21)],
)
def test_a_receive_out_of_range_is_refused(queue: SampleQueue, parameter: str, value: int) -> None:
    with raises_client_error("InvalidParameterValue", f"Value {value} for parameter {parameter} is invalid"):
        queue.receive(queue.url, **{parameter: value})


def test_the_number_of_messages_in_flight_is_limited(queue: SampleQueue) -> None:
    queue.aws.queues.max_in_flight = 2
    queue.send("a", "b", "c")
    assert len(queue.receive()) == 2
    with raises_client_error("OverLimit"):
        queue.receive()
    assert queue.counts() == (1, 2, 0)


def test_a_long_poll_ends_when_a_message_arrives_and_blocks_no_other_call(queue: SampleQueue) -> None:
    received: list[dict[str, Any]] = []
    poll = threading.Thread(target=lambda: received.extend(queue.receive(WaitTimeSeconds=20)))
    poll.start()
    time.sleep(0.1)
    assert queue.counts() == (0, 0, 0)
    queue.send("a")
    poll.join(60)
    assert bodies(received) == ["a"]


def test_a_queue_can_be_purged_once_a_minute(queue: SampleQueue) -> None:
    queue.send("a", "b")
    queue.client.purge_queue(QueueUrl=queue.url)
    assert queue.counts() == (0, 0, 0)
    with pytest.raises(queue.client.exceptions.PurgeQueueInProgress):
        queue.client.purge_queue(QueueUrl=queue.url)
    queue.aws.clock.advance(60)
    queue.client.purge_queue(QueueUrl=queue.url)


def test_a_missing_queue_has_the_error_of_both_protocols(aws: EmbeddedAws) -> None:
    """https://smithy.io/2.0/aws/protocols/aws-query-protocol.html#awsquerycompatible-trait"""
    sqs = aws.client("sqs")
    url = f"{aws.url}/{aws.account}/missing"
    with pytest.raises(sqs.exceptions.QueueDoesNotExist) as error:
        sqs.send_message(QueueUrl=url, MessageBody="a")
    assert error.value.response["Error"]["Code"] == "AWS.SimpleQueueService.NonExistentQueue"
    connection = http.client.HTTPConnection(aws.url.removeprefix("http://"))
    credential = "Credential=a/20261129/us-east-1/sqs/aws4_request"
    headers = {
        "content-type": "application/x-amz-json-1.0",
        "x-amz-target": "AmazonSQS.SendMessage",
        "authorization": f"AWS4-HMAC-SHA256 {credential}, SignedHeaders=host, Signature=0",
    }
    connection.request("POST", "/", json.dumps({"QueueUrl": url, "MessageBody": "a"}), headers)
    response = connection.getresponse()
    assert response.status == 400
    assert response.headers["x-amzn-query-error"] == "AWS.SimpleQueueService.NonExistentQueue;Sender"
    assert json.loads(response.read())["__type"].endswith("#QueueDoesNotExist")


def test_a_function_sends_with_the_permissions_of_its_role(sample: SampleFunction, queue: SampleQueue) -> None:
    send = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": queue.arn}
    role = sample.role(NAME, send)
    sample.create(SENDS, Role=role, Environment={"Variables": {"AWS_ENDPOINT_URL": sample.aws.url}})
    status, _, response = sample.invoke({"url": queue.url}).payload
    assert (status, queue.counts()) == (200, (1, 0, 0)), response
    status, code, response = sample.invoke({"url": queue.failed_url}).payload
    assert (status, code) == (403, "AccessDenied;Sender")
    assert f"perform: sqs:sendmessage on resource: {queue.failed_arn} because no identity" in response["message"]
    sample.aws.fail("sqs:SendMessage", "throttle", caller=role)
    status, code, _ = sample.invoke({"url": queue.url}).payload
    assert (status, code) == (403, "RequestThrottled;Sender")


def test_failed_messages_can_be_moved_back(queue: SampleQueue) -> None:
    ids = queue.send("a", "b")
    for _ in range(2):
        queue.receive(VisibilityTimeout=0)
    queue.receive()
    assert queue.counts(queue.failed_url) == (2, 0, 0)
    handle = queue.client.start_message_move_task(SourceArn=queue.failed_arn)["TaskHandle"]
    (task,) = queue.client.list_message_move_tasks(SourceArn=queue.failed_arn)["Results"]
    assert (task["Status"], task["TaskHandle"], task["ApproximateNumberOfMessagesToMove"]) == ("RUNNING", handle, 2)
    with raises_client_error("InvalidParameterValue", "already a task running"):
        queue.client.start_message_move_task(SourceArn=queue.failed_arn)
    queue.aws.clock.advance(queue.aws.delays.move_s)
    (task,) = queue.client.list_message_move_tasks(SourceArn=queue.failed_arn)["Results"]
    assert (task["Status"], task["ApproximateNumberOfMessagesMoved"]) == ("COMPLETED", 2)
    assert "TaskHandle" not in task
    moved = queue.receive()
    assert sorted(bodies(moved)) == ["a", "b"]
    assert not {message["MessageId"] for message in moved} & set(ids)
    assert {message["Attributes"]["ApproximateReceiveCount"] for message in moved} == {"1"}


def test_a_message_whose_source_is_unknown_is_not_moved_back(queue: SampleQueue) -> None:
    queue.send("a", url=queue.failed_url)
    queue.client.start_message_move_task(SourceArn=queue.failed_arn)
    queue.aws.clock.advance(queue.aws.delays.move_s)
    (task,) = queue.client.list_message_move_tasks(SourceArn=queue.failed_arn)["Results"]
    assert (task["Status"], task["FailureReason"]) == ("FAILED", "CouldNotDetermineMessageSource")
    queue.client.start_message_move_task(SourceArn=queue.failed_arn, DestinationArn=queue.arn)
    queue.aws.clock.advance(queue.aws.delays.move_s)
    assert bodies(queue.receive()) == ["a"]


def test_messages_can_be_moved_from_a_dead_letter_queue_only(queue: SampleQueue) -> None:
    with raises_client_error("InvalidParameterValue", "Source queue must be configured as a Dead Letter Queue"):
        queue.client.start_message_move_task(SourceArn=queue.arn)
    with raises_client_error("ResourceNotFoundException", "SourceArn"):
        queue.client.list_message_move_tasks(SourceArn=queue.arn + "x")
    with raises_client_error("ResourceNotFoundException", "DestinationArn"):
        queue.client.start_message_move_task(SourceArn=queue.failed_arn, DestinationArn=queue.arn + "x")


def test_messages_cannot_be_moved_to_the_queue_that_they_are_in(queue: SampleQueue) -> None:
    queue.send("a", url=queue.failed_url)
    with raises_client_error("InvalidParameterValue", "must be different"):
        queue.client.start_message_move_task(SourceArn=queue.failed_arn, DestinationArn=queue.failed_arn)


def test_a_move_starts_in_the_region_and_account_of_the_queue(queue: SampleQueue) -> None:
    with raises_client_error("ResourceNotFoundException", "SourceArn"):
        queue.aws.client("sqs", "eu-west-1").start_message_move_task(SourceArn=queue.failed_arn)
    other_account = queue.failed_arn.replace(queue.aws.account, "210987654321")
    with raises_client_error("ResourceNotFoundException", "SourceArn"):
        queue.client.start_message_move_task(SourceArn=other_account)


def test_a_running_move_can_be_cancelled(queue: SampleQueue) -> None:
    queue.send("a", url=queue.failed_url)
    handle = queue.client.start_message_move_task(SourceArn=queue.failed_arn, DestinationArn=queue.arn)["TaskHandle"]
    queue.client.cancel_message_move_task(TaskHandle=handle)
    queue.aws.clock.advance(queue.aws.delays.move_s)
    assert queue.counts(queue.failed_url) == (1, 0, 0)
    with raises_client_error("ResourceNotFoundException"):
        queue.client.cancel_message_move_task(TaskHandle=handle)


@pytest.mark.parametrize(
    ("operation", "params", "needs"),
    [
        ("send_message_batch", {"QueueUrl": "jobs", "Entries": [{"Id": "a", "MessageBody": "a"}]},
         [("SendMessage", "jobs")]),
        ("receive_message", {"QueueUrl": "jobs"}, [("ReceiveMessage", "jobs")]),
        ("create_queue", {"QueueName": "new", "tags": {"a": "b"}}, [("CreateQueue", "new"), ("TagQueue", "new")]),
        ("start_message_move_task", {"SourceArn": "arn:aws:sqs:us-east-1:123456789012:failed"},
         [("StartMessageMoveTask", "failed"), ("ReceiveMessage", "failed"), ("DeleteMessage", "failed"),
          ("GetQueueAttributes", "failed"), ("SendMessage", "jobs")]),
    ],
)  # fmt: skip
def test_each_call_needs_permissions_on_the_queue(
    sample: SampleFunction, queue: SampleQueue, operation: str, params: dict[str, Any], needs: list[tuple[str, str]]
) -> None:
    """https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsqs.html"""
    prefix = "arn:aws:sqs:us-east-1:123456789012:"
    statements = [{"Effect": "Allow", "Action": f"sqs:{action}", "Resource": prefix + name} for action, name in needs]
    for missing, (action, name) in enumerate(needs):
        role = sample.role(f"without-{action}", *statements[:missing], *statements[missing + 1 :])
        message = f"perform: sqs:{action.lower()} on resource: {prefix}{name}"
        with sample.aws.acting_as(role), raises_client_error("AccessDenied", message):
            getattr(queue.client, operation)(**params)
    with sample.aws.acting_as(sample.role("complete", *statements)):
        getattr(queue.client, operation)(**params)
