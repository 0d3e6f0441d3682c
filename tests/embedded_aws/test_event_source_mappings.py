"""Test event source mappings of SQS queues: their validation and states, and how Lambda polls a queue."""

import ast
import contextlib
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from embedded_aws import EmbeddedAws, ManualClock
from embedded_aws.calls import POLLER
from embedded_aws.faults import Kind
from scripts.remaining_resources import find_resources
from tests.support.sample_function import NAME, SampleFunction, metric_total, raises_client_error
from tests.support.sample_queue import SampleQueue, wait_until

REPORTS = """
import json, time
def handler(event, context):
    records = event["Records"]
    for record in records:
        print("received " + record["body"] + " " + record["attributes"]["ApproximateReceiveCount"], flush=True)
    if "raise" in [record["body"] for record in records]:
        raise ValueError("no")
    failures = [record["messageId"] for record in records if record["body"].startswith("fail")]
    return {"batchItemFailures": [{"itemIdentifier": failure} for failure in failures]}
"""
DEADLINE_S = 60
VISIBILITY_S = 3
REPORT_FAILURES: dict[str, Any] = {"FunctionResponseTypes": ["ReportBatchItemFailures"]}


class Mapping:
    """A mapping of the queue `jobs` to the alias `live` of the sample function."""

    def __init__(self, sample: SampleFunction, queue: SampleQueue) -> None:
        self.sample = sample
        self.queue = queue
        self.client = sample.client
        self.alias = f"arn:aws:lambda:us-east-1:123456789012:function:{NAME}:live"
        self.uuid = ""

    def create(self, source: str = REPORTS, **parameters: Any) -> None:
        """Create the function, its alias and the mapping, and wait until it is enabled."""
        self.sample.create(source, Role=self.sample.role(NAME, self.queue.permission))
        self.client.create_alias(FunctionName=NAME, Name="live", FunctionVersion=self.sample.publish())
        self.uuid = self.request(**parameters)["UUID"]
        self.sample.wait_until_ready()

    def request(self, **parameters: Any) -> dict[str, Any]:
        """Call CreateEventSourceMapping."""
        defaults = {"EventSourceArn": self.queue.arn, "FunctionName": self.alias, "BatchSize": 1}
        response: dict[str, Any] = self.client.create_event_source_mapping(**{**defaults, **parameters})
        return response

    def update(self, **parameters: Any) -> dict[str, Any]:
        """Call UpdateEventSourceMapping."""
        response: dict[str, Any] = self.client.update_event_source_mapping(UUID=self.uuid, **parameters)
        return response

    def get(self) -> dict[str, Any]:
        """Call GetEventSourceMapping."""
        response: dict[str, Any] = self.client.get_event_source_mapping(UUID=self.uuid)
        return response

    def lines(self) -> list[str]:
        """Return the lines `received BODY COUNT` that the function has logged, without their first word."""
        lines = self.sample.aws.log_messages(f"/aws/lambda/{NAME}")
        return [line.strip().partition(" ")[2] for line in lines if line.startswith("received ")]

    def wait_for(self, *lines: str) -> None:
        """Wait until the function has logged exactly these lines, in any order."""
        with contextlib.suppress(AssertionError):
            wait_until(lambda: len(self.lines()) >= len(lines))
        assert sorted(self.lines()) == sorted(lines)

    def wait_until_processed(self, in_flight: int = 0) -> None:
        """Wait until no message is visible, and only this number of failed ones is in flight."""
        wait_until(lambda: self.queue.counts() == (0, in_flight, 0))

    def retry(self) -> None:
        """Advance the clock until the visibility timeout of all messages has passed."""
        self.sample.aws.clock.advance(30)


@pytest.fixture
def mapping(sample: SampleFunction) -> Mapping:
    """A mapping that the test creates."""
    return Mapping(sample, SampleQueue(sample.aws))


def test_a_function_receives_the_message_in_the_format_of_sqs(mapping: Mapping) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html#example-standard-queue-message-event"""
    mapping.create("def handler(event, context):\n    print('received', event, flush=True)\n")
    sent = mapping.queue.client.send_message(
        QueueUrl=mapping.queue.url,
        MessageBody="hello",
        MessageAttributes={"key": {"DataType": "String", "StringValue": "value"}},
    )
    wait_until(mapping.lines)
    event = ast.literal_eval(mapping.lines()[0])
    (record,) = event["Records"]
    assert int(record["attributes"].pop("SentTimestamp")) == int(
        record["attributes"].pop("ApproximateFirstReceiveTimestamp")
    )
    assert record.pop("receiptHandle")
    assert record.pop("md5OfMessageAttributes") == sent["MD5OfMessageAttributes"]
    assert record == {
        "messageId": sent["MessageId"],
        "body": "hello",
        "attributes": {"ApproximateReceiveCount": "1", "SenderId": "AIDAIT2UOQQY3AUEKVGXU"},
        "messageAttributes": {
            "key": {"stringValue": "value", "stringListValues": [], "binaryListValues": [], "dataType": "String"}
        },
        "md5OfBody": sent["MD5OfMessageBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": mapping.queue.arn,
        "awsRegion": "us-east-1",
    }
    mapping.wait_until_processed()


def test_a_failed_message_is_received_again_and_ends_in_the_dead_letter_queue(mapping: Mapping) -> None:
    mapping.create(**REPORT_FAILURES)
    cloudwatch = mapping.sample.aws.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="failed",
        Namespace="AWS/SQS",
        MetricName="ApproximateNumberOfMessagesVisible",
        Dimensions=[{"Name": "QueueName", "Value": "failed"}],
        Statistic="Maximum",
        Period=300,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
    )
    mapping.queue.send("fail", "succeed")
    mapping.wait_for("fail 1", "succeed 1")
    mapping.wait_until_processed(in_flight=1)
    mapping.retry()
    mapping.wait_for("fail 1", "succeed 1", "fail 2")
    assert not mapping.sample.aws.alarm_fires("failed")
    mapping.wait_until_processed(in_flight=1)
    mapping.retry()
    wait_until(lambda: mapping.queue.counts(mapping.queue.failed_url) == (1, 0, 0))
    assert mapping.sample.aws.alarm_fires("failed")
    assert cloudwatch.describe_alarms()["MetricAlarms"][0]["StateValue"] == "ALARM"
    (failed,) = mapping.queue.receive(mapping.queue.failed_url)
    assert failed["Body"] == "fail"
    mapping.queue.client.delete_message(QueueUrl=mapping.queue.failed_url, ReceiptHandle=failed["ReceiptHandle"])
    mapping.sample.aws.clock.advance(300)
    assert not mapping.sample.aws.alarm_fires("failed")


def test_only_the_messages_that_the_response_names_have_failed(mapping: Mapping) -> None:
    mapping.create(BatchSize=10, Enabled=False, **REPORT_FAILURES)
    mapping.queue.send("fail", "a", "b")
    mapping.update(Enabled=True)
    mapping.sample.wait_until_ready()
    mapping.wait_for("fail 1", "a 1", "b 1")
    mapping.wait_until_processed(in_flight=1)
    assert metric_total(mapping.sample, "Invocations", FunctionName=NAME) == 1
    mapping.retry()
    mapping.wait_for("fail 1", "a 1", "b 1", "fail 2")


@pytest.mark.parametrize(
    ("response", "fails"),
    [
        ("None", False),
        ("{}", False),
        ("{'batchItemFailures': []}", False),
        ("{'batchItemFailures': None}", False),
        ("'text'", True),
        ("{'batchItemFailures': [{'itemIdentifier': ''}]}", True),
        ("{'batchItemFailures': [{'itemIdentifier': None}]}", True),
        ("{'batchItemFailures': [{'id': event['Records'][0]['messageId']}]}", True),
        ("{'batchItemFailures': [{'itemIdentifier': 'unknown'}]}", True),
        ("{'batchItemFailures': 'text'}", True),
        ("1 / 0", True),
    ],
)
def test_an_invalid_response_means_that_the_batch_has_failed(mapping: Mapping, response: str, fails: bool) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html"""
    mapping.create(f"def handler(event, context):\n    return {response}\n", **REPORT_FAILURES)
    mapping.queue.send("a")
    mapping.wait_until_processed(in_flight=int(fails))


def test_without_partial_responses_only_an_error_fails(mapping: Mapping) -> None:
    mapping.create()
    mapping.queue.send("fail")
    mapping.wait_for("fail 1")
    mapping.wait_until_processed()
    mapping.queue.send("raise")
    mapping.wait_for("fail 1", "raise 1")
    mapping.wait_until_processed(in_flight=1)


def test_the_next_message_goes_to_the_version_of_the_alias_then(mapping: Mapping) -> None:
    mapping.create()
    mapping.queue.send("a")
    mapping.wait_for("a 1")
    mapping.sample.update(REPORTS.replace('"received "', '"received new "'))
    mapping.client.update_alias(FunctionName=NAME, Name="live", FunctionVersion=mapping.sample.publish())
    mapping.client.delete_function(FunctionName=NAME, Qualifier="1")
    mapping.queue.send("b")
    mapping.wait_for("a 1", "new b 1")
    mapping.client.delete_alias(FunctionName=NAME, Name="live")
    mapping.queue.send("c")
    time.sleep(0.3)
    assert mapping.queue.counts() == (1, 0, 0)
    mapping.client.create_alias(FunctionName=NAME, Name="live", FunctionVersion="2")
    mapping.sample.wait_until_ready()
    mapping.wait_for("a 1", "new b 1", "new c 1")


def test_no_more_batches_than_the_maximum_concurrency_run_together(mapping: Mapping) -> None:
    source = "import time\ndef handler(event, context):\n    print('received x 1', flush=True)\n    time.sleep(0.3)\n"
    mapping.create(source, ScalingConfig={"MaximumConcurrency": 2})
    mapping.queue.send(*"abcdef")
    most = 0
    deadline = time.monotonic() + DEADLINE_S
    while mapping.queue.counts() != (0, 0, 0):
        assert time.monotonic() < deadline
        most = max(most, mapping.queue.counts()[1])
        time.sleep(0.02)
    assert most == 2
    assert len(mapping.sample.aws.environments(NAME)) == 2


def test_a_throttled_invocation_counts_as_a_receive(mapping: Mapping) -> None:
    mapping.create()
    mapping.client.put_function_concurrency(FunctionName=NAME, ReservedConcurrentExecutions=0)
    mapping.queue.send("a")
    wait_until(lambda: metric_total(mapping.sample, "Throttles", FunctionName=NAME))
    time.sleep(0.1)  # until the mapping waits before it receives again
    mapping.client.delete_function_concurrency(FunctionName=NAME)
    mapping.retry()
    mapping.wait_for("a 2")


def test_a_batching_window_collects_messages(mapping: Mapping) -> None:
    with contextlib.suppress(ClientError):
        mapping.create(BatchSize=11)
    mapping.uuid = mapping.request(BatchSize=11, MaximumBatchingWindowInSeconds=60)["UUID"]
    mapping.sample.wait_until_ready()
    mapping.queue.send("a", "b")
    time.sleep(0.2)
    assert mapping.lines() == []
    mapping.sample.aws.clock.advance(60)
    mapping.wait_for("a 1", "b 1")
    mapping.wait_until_processed()
    assert metric_total(mapping.sample, "Invocations", FunctionName=NAME) == 1


def test_a_mapping_that_is_disabled_during_its_batching_window_receives_nothing(mapping: Mapping) -> None:
    mapping.create(BatchSize=10, MaximumBatchingWindowInSeconds=60)
    mapping.queue.send("a", "b")
    time.sleep(0.2)
    mapping.update(Enabled=False)
    mapping.sample.aws.clock.advance(60)
    time.sleep(0.2)
    assert mapping.queue.counts() == (2, 0, 0)


def test_a_disabled_mapping_receives_nothing(mapping: Mapping) -> None:
    mapping.create(Enabled=False)
    mapping.queue.send("a")
    time.sleep(0.2)
    assert (mapping.get()["State"], mapping.queue.counts()) == ("Disabled", (1, 0, 0))
    assert mapping.update(Enabled=True)["State"] == "Enabling"
    mapping.sample.wait_until_ready()
    mapping.wait_for("a 1")
    assert mapping.update(Enabled=False)["State"] == "Disabling"
    mapping.sample.wait_until_ready()
    mapping.queue.send("b")
    time.sleep(0.2)
    assert mapping.lines() == ["a 1"]


@pytest.mark.parametrize("action", ["sqs:ReceiveMessage", "sqs:DeleteMessage"])
def test_the_poller_has_the_permissions_that_the_role_has_at_that_time(mapping: Mapping, action: str) -> None:
    mapping.create()
    policies = mapping.sample.aws.client("iam")
    document = policies.get_role_policy(RoleName=NAME, PolicyName="may")["PolicyDocument"]
    without = json.dumps(document).replace(action, "sqs:ListQueues")
    policies.put_role_policy(RoleName=NAME, PolicyName="may", PolicyDocument=without)
    mapping.queue.send("a")
    if action == "sqs:ReceiveMessage":
        time.sleep(0.2)
        assert mapping.queue.counts() == (1, 0, 0)
        received = "a 1"
    else:
        mapping.wait_for("a 1")
        mapping.wait_until_processed(in_flight=1)
        received = "a 2"
    policies.put_role_policy(RoleName=NAME, PolicyName="may", PolicyDocument=json.dumps(document))
    mapping.retry()
    wait_until(lambda: received in mapping.lines())
    mapping.wait_until_processed()


@pytest.mark.parametrize("kind", ["throttle", "server_error", "reset_before", "reset_after"])
@pytest.mark.parametrize("action", ["sqs:ReceiveMessage", "lambda:InvokeFunction", "sqs:DeleteMessage"])
def test_a_fault_in_a_call_of_the_poller_loses_no_message(mapping: Mapping, action: str, kind: Kind) -> None:
    mapping.create()
    fault = mapping.sample.aws.fail(action, kind, caller=POLLER)
    mapping.queue.send("a")
    wait_until(lambda: fault.hits)
    is_lost = kind == "reset_after"
    lines = {
        "sqs:ReceiveMessage": ["a 2"] if is_lost else ["a 1"],
        "lambda:InvokeFunction": ["a 1", "a 2"] if is_lost else ["a 2"],
        "sqs:DeleteMessage": ["a 1"] if is_lost else ["a 1", "a 2"],
    }[action]
    time.sleep(0.1)
    mapping.retry()
    mapping.wait_for(*lines)
    mapping.wait_until_processed()


def test_a_mapping_changes_its_state_and_cannot_be_changed_meanwhile(mapping: Mapping) -> None:
    mapping.create()
    created = mapping.get()
    assert (created["State"], created["FunctionArn"]) == ("Enabled", mapping.alias)
    assert "ScalingConfig" not in created
    updated = mapping.update(ScalingConfig={"MaximumConcurrency": 5})
    assert (updated["State"], updated["ScalingConfig"]) == ("Updating", {"MaximumConcurrency": 5})
    with raises_client_error("ResourceInUseException", "Cannot update the event source mapping because it is in use"):
        mapping.update(BatchSize=2)
    with raises_client_error("ResourceInUseException", "Cannot delete the event source mapping because it is in use"):
        mapping.client.delete_event_source_mapping(UUID=mapping.uuid)
    mapping.sample.wait_until_ready()
    assert mapping.get()["BatchSize"] == 1
    mapping.update(ScalingConfig={})
    mapping.sample.wait_until_ready()
    assert "ScalingConfig" not in mapping.get()
    assert mapping.client.delete_event_source_mapping(UUID=mapping.uuid)["State"] == "Deleting"
    assert mapping.get()["State"] == "Deleting"
    mapping.sample.wait_until_ready()
    with raises_client_error("ResourceNotFoundException"):
        mapping.get()
    mapping.queue.send("a")
    time.sleep(0.2)
    assert mapping.queue.counts() == (1, 0, 0)


def test_mappings_are_listed_by_queue_and_by_function_and_have_tags(mapping: Mapping) -> None:
    mapping.create(Tags={"a": "1"})
    arn = mapping.get()["EventSourceMappingArn"]
    assert arn == f"arn:aws:lambda:us-east-1:123456789012:event-source-mapping:{mapping.uuid}"
    mapping.client.tag_resource(Resource=arn, Tags={"b": "2"})
    mapping.client.untag_resource(Resource=arn, TagKeys=["a"])
    assert mapping.client.list_tags(Resource=arn)["Tags"] == {"b": "2"}
    for parameters, count in (
        ({}, 1),
        ({"EventSourceArn": mapping.queue.arn}, 1),
        ({"EventSourceArn": mapping.queue.failed_arn}, 0),
        ({"FunctionName": mapping.alias}, 1),
        ({"FunctionName": f"{NAME}:live"}, 1),
        ({"FunctionName": NAME}, 0),
    ):
        listed = mapping.client.list_event_source_mappings(**parameters)["EventSourceMappings"]
        assert len(listed) == count, parameters
    with raises_client_error("ResourceNotFoundException"):
        mapping.client.list_tags(Resource=arn[:-36] + "0ec5abcd-0000-4000-8000-000000000000")


def test_a_queue_and_a_function_have_one_mapping(mapping: Mapping) -> None:
    """aws/chalice#2146"""
    mapping.create()
    message = f'mapping with SQS arn (" {mapping.queue.arn} ") and function (" {NAME}:live ") already exists. '
    with raises_client_error("ResourceConflictException", f"{message}Please update or delete the existing mapping"):
        mapping.request()


@pytest.mark.parametrize(
    ("parameters", "code", "message"),
    [
        ({"EventSourceArn": "arn:aws:sqs:us-east-1:123456789012:missing"}, "InvalidParameterValueException",
         "SQS Error Code: AWS.SimpleQueueService.NonExistentQueue"),
        ({"EventSourceArn": "arn:aws:sqs:eu-west-1:123456789012:jobs"}, "InvalidParameterValueException", "not exist"),
        ({"EventSourceArn": "arn:aws:sns:us-east-1:123456789012:a"}, "InvalidParameterValueException", "SQS queues"),
        ({"FunctionName": "missing"}, "ResourceNotFoundException", "Function not found"),
        ({"FunctionName": f"{NAME}:missing"}, "ResourceNotFoundException", "Function not found"),
        ({"BatchSize": 11}, "InvalidParameterValueException", "Maximum batch window in seconds must be greater than 0"),
        ({"BatchSize": 10_001, "MaximumBatchingWindowInSeconds": 1}, "ValidationException", "10000"),
        ({"ScalingConfig": {"MaximumConcurrency": 1001}}, "ValidationException", "less than or equal to 1000"),
        ({"StartingPosition": "LATEST"}, "InvalidParameterValueException", "StartingPosition"),
    ],
)  # fmt: skip
def test_invalid_parameters_are_refused(mapping: Mapping, parameters: Any, code: str, message: str) -> None:
    with raises_client_error(code, message):
        mapping.create(**parameters)
    assert mapping.client.list_event_source_mappings()["EventSourceMappings"] == []


def test_the_function_must_not_run_longer_than_the_visibility_timeout(mapping: Mapping) -> None:
    """github-aws-runners/terraform-aws-github-runner#465"""
    message = "Queue visibility timeout: 30 seconds is less than Function timeout: 31 seconds"
    with raises_client_error("InvalidParameterValueException", "window"):
        mapping.create(BatchSize=11)
    mapping.client.update_function_configuration(FunctionName=NAME, Timeout=31)
    mapping.sample.wait_until_ready()
    mapping.client.update_alias(FunctionName=NAME, Name="live", FunctionVersion=mapping.sample.publish())
    with raises_client_error("InvalidParameterValueException", message):
        mapping.request()
    mapping.client.update_alias(FunctionName=NAME, Name="live", FunctionVersion="1")
    mapping.uuid = mapping.request()["UUID"]
    mapping.sample.wait_until_ready()
    mapping.client.update_alias(FunctionName=NAME, Name="live", FunctionVersion="2")
    with raises_client_error("InvalidParameterValueException", message):
        mapping.update(BatchSize=2)
    mapping.queue.client.set_queue_attributes(QueueUrl=mapping.queue.url, Attributes={"VisibilityTimeout": "31"})
    mapping.update(BatchSize=2)


@pytest.mark.parametrize("action", ["ReceiveMessage", "DeleteMessage", "GetQueueAttributes"])
def test_the_role_needs_three_permissions(mapping: Mapping, action: str) -> None:
    permission = mapping.queue.permission
    permission["Action"].remove(f"sqs:{action}")
    try:
        mapping.sample.create(REPORTS, Role=mapping.sample.role(NAME, permission))
        with raises_client_error(
            "InvalidParameterValueException",
            f"The provided execution role does not have permissions to call {action} on SQS",
        ):
            mapping.request(FunctionName=NAME)
    finally:
        permission["Action"].append(f"sqs:{action}")


def test_lambda_learns_late_of_a_new_policy_of_the_role(mapping: Mapping) -> None:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency"""
    mapping.sample.create(REPORTS, Role=mapping.sample.role())
    document = json.dumps({"Version": "2012-10-17", "Statement": [mapping.queue.permission]})
    mapping.sample.aws.client("iam").put_role_policy(RoleName=NAME, PolicyName="queue", PolicyDocument=document)
    with raises_client_error("InvalidParameterValueException", "does not have permissions to call ReceiveMessage"):
        mapping.request(FunctionName=NAME)
    mapping.sample.wait_until_ready()
    mapping.request(FunctionName=NAME)


def test_the_caller_needs_permissions_with_the_function_as_a_condition(mapping: Mapping) -> None:
    """https://docs.aws.amazon.com/service-authorization/latest/reference/list_awslambda.html"""
    mapping.create()
    arn = mapping.get()["EventSourceMappingArn"]
    condition = {"ArnLike": {"lambda:FunctionArn": f"arn:aws:lambda:*:*:function:{NAME}:*"}}
    statement = {"Effect": "Allow", "Action": "lambda:*EventSourceMapping", "Resource": "*", "Condition": condition}
    tag = {"Effect": "Allow", "Action": ["lambda:TagResource", "lambda:ListTags"], "Resource": arn[:-36] + "*"}
    role = mapping.sample.role("deployer", statement, tag)
    aws = mapping.sample.aws
    with aws.acting_as(role):
        mapping.update(BatchSize=2)
        aws.clock.advance(1)
        mapping.client.list_tags(Resource=arn)
        mapping.client.delete_event_source_mapping(UUID=mapping.uuid)
        aws.clock.advance(1)
        mapping.uuid = mapping.request(Tags={"a": "b"})["UUID"]
        aws.clock.advance(1)
        with raises_client_error("AccessDeniedException", "lambda:CreateEventSourceMapping"):
            mapping.request(FunctionName="other")
        with raises_client_error("AccessDeniedException", "lambda:ListEventSourceMappings"):
            mapping.client.list_event_source_mappings()


def test_a_mapping_uses_the_real_time_and_ends_with_the_server(tmp_path: Path) -> None:
    with EmbeddedAws() as aws:
        sample = SampleFunction(aws, tmp_path)
        queue = SampleQueue(aws)
        mapping = Mapping(sample, queue)
        mapping.create(ScalingConfig={"MaximumConcurrency": 5}, **REPORT_FAILURES)
        queue.client.set_queue_attributes(QueueUrl=queue.url, Attributes={"VisibilityTimeout": str(VISIBILITY_S)})
        started_at = time.monotonic()
        queue.send(*(str(number) for number in range(20)), "fail")
        wait_until(lambda: "fail 2" in mapping.lines())
        assert time.monotonic() - started_at >= VISIBILITY_S
        mapping.queue.send("last")
    assert not [thread for thread in running_threads() if thread.startswith("sqs-")]


def running_threads() -> Iterator[str]:
    return (thread.name for thread in threading.enumerate())


def test_the_clock_of_a_test_can_be_advanced_while_messages_are_processed(tmp_path: Path) -> None:
    with EmbeddedAws(clock=ManualClock()) as aws:
        sample = SampleFunction(aws, tmp_path)
        mapping = Mapping(sample, SampleQueue(aws))
        mapping.create()
        mapping.queue.send(*(str(number) for number in range(30)))
        deadline = time.monotonic() + DEADLINE_S
        while mapping.queue.counts() != (0, 0, 0):
            assert time.monotonic() < deadline
            aws.clock.advance(0.1)
        assert {line.split()[0] for line in mapping.lines()} == {str(number) for number in range(30)}


def test_the_resources_of_jobs_are_found_when_they_remain(mapping: Mapping) -> None:
    """Every page is read: AWS lists up to 50 mappings on one."""
    mapping.create()
    mapping.sample.aws.client("scheduler").create_schedule_group(Name="group")
    for number in range(51):
        mapping.client.create_alias(FunctionName=NAME, Name=f"alias-{number}", FunctionVersion="1")
        mapping.request(FunctionName=f"{NAME}:alias-{number}", Enabled=False)
    remaining = find_resources(mapping.sample.aws.client)
    assert {"sqs jobs", "sqs failed", "scheduler group", f"lambda {mapping.alias}"} <= set(remaining)
    assert len([name for name in remaining if ":alias-" in name]) == 51
    assert find_resources(mapping.sample.aws.client, "job") == ["sqs jobs"]
