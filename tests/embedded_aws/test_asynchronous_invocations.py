"""Test asynchronous invocations, which Lambda repeats after errors, and the schedules that cause them."""

import json
from typing import Any

import pytest

from embedded_aws.errors import AwsError
from tests.support.sample_function import NAME, SampleFunction, raises_client_error
from tests.support.sample_queue import wait_until

FAILS = """
def handler(event, context):
    print("tried " + context.aws_request_id + str(event), flush=True)
    if event["fails"]:
        raise ValueError("it fails")
"""
SCHEDULED_AT = "2026-11-23T03:00:00Z"
MAX_EVENT_BYTES = 1024 * 1024


def wait_for_lines(sample: SampleFunction, count: int) -> list[str]:
    """Return the lines that the function has logged, as soon as it has logged this number of lines."""

    def lines() -> list[str]:
        sample.aws.clock.advance(1)  # towards the next attempt
        return [line for line in sample.aws.log_messages(f"/aws/lambda/{NAME}") if line.startswith("tried")]

    wait_until(lambda: len(lines()) >= count)
    return lines()


def send_event(sample: SampleFunction, event: dict[str, Any]) -> int:
    """Invoke the function asynchronously. Return the status code."""
    response = sample.client.invoke(FunctionName=NAME, InvocationType="Event", Payload=json.dumps(event))
    return int(response["StatusCode"])


def test_a_failed_event_is_repeated_twice_with_the_same_request_id(sample: SampleFunction) -> None:
    sample.create(FAILS)
    assert send_event(sample, {"fails": True}) == 202
    assert len(set(wait_for_lines(sample, 3))) == 1
    assert send_event(sample, {"fails": False}) == 202
    assert ["True" in line for line in wait_for_lines(sample, 4)] == [True, True, True, False]


def test_an_event_over_1_mb_is_refused(sample: SampleFunction) -> None:
    sample.create()
    sample.invoke({"text": "x" * MAX_EVENT_BYTES})
    with raises_client_error("RequestTooLargeException", f"{MAX_EVENT_BYTES} bytes"):
        send_event(sample, {"text": "x" * MAX_EVENT_BYTES})


def policy_document(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_a_schedule_needs_a_role_that_may_invoke_the_function(sample: SampleFunction) -> None:
    sample.create(FAILS)
    role = sample.role("scheduler")
    function = sample.configuration()["FunctionArn"]
    schedule = {
        "Name": "nightly",
        "ScheduleExpression": "cron(0 3 * * ? *)",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": {
            "Arn": function,
            "RoleArn": role,
            "Input": '{"fails": false, "at": "<aws.scheduler.scheduled-time>"}',
        },
    }
    scheduler, iam = sample.aws.client("scheduler"), sample.aws.client("iam")
    with raises_client_error("ValidationException", "must allow AWS EventBridge Scheduler to assume the role"):
        scheduler.create_schedule(**schedule)
    trust = {"Effect": "Allow", "Principal": {"Service": "scheduler.amazonaws.com"}, "Action": "sts:AssumeRole"}
    iam.update_assume_role_policy(RoleName="scheduler", PolicyDocument=policy_document(trust))
    scheduler.create_schedule(**schedule)
    with pytest.raises(AwsError, match="AccessDenied"):
        sample.aws.run_schedule("nightly", SCHEDULED_AT)
    permission = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": function}
    iam.put_role_policy(RoleName="scheduler", PolicyName="invoke", PolicyDocument=policy_document(permission))
    assert sample.aws.run_schedule("nightly", SCHEDULED_AT) == {"StatusCode": 202}
    assert SCHEDULED_AT in wait_for_lines(sample, 1)[0]
