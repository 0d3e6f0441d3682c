"""Does the embedded AWS run what nobody waits for as AWS does: later, up to three times, and only if it may?"""

import json
import time
from typing import Any

import pytest

from embedded_aws.errors import AwsError
from tests.support.sample_function import NAME, SampleFunction, raises_client_error

FAILS = """
def handler(event, context):
    print("tried " + context.aws_request_id + str(event), flush=True)
    if event["fails"]:
        raise ValueError("it fails")
"""
MANY = 1024 * 1024
AT = "2026-11-23T03:00:00Z"


def lines(sample: SampleFunction, number: int) -> list[str]:
    """What it wrote, once there is so much of it."""
    for _ in range(200):
        found = [line for line in sample.aws.log_messages(f"/aws/lambda/{NAME}") if line.startswith("tried")]
        if len(found) >= number:
            return found
        time.sleep(0.02)
    raise AssertionError(found)


def later(sample: SampleFunction, event: dict[str, Any]) -> int:
    answer = sample.client.invoke(FunctionName=NAME, InvocationType="Event", Payload=json.dumps(event))
    return int(answer["StatusCode"])


def policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_what_fails_is_tried_twice_again_with_the_same_id(sample: SampleFunction) -> None:
    sample.create(FAILS)
    assert later(sample, {"fails": True}) == 202
    assert len(set(lines(sample, 3))) == 1
    assert later(sample, {"fails": False}) == 202
    assert len(lines(sample, 4)) == 4


def test_the_event_must_be_smaller_than_one_that_is_waited_for(sample: SampleFunction) -> None:
    sample.create()
    sample.invoke({"text": "x" * MANY})
    with raises_client_error("RequestTooLargeException", f"{MANY} bytes"):
        later(sample, {"text": "x" * MANY})


def test_a_schedule_runs_what_its_role_allows(sample: SampleFunction) -> None:
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
    iam.update_assume_role_policy(RoleName="scheduler", PolicyDocument=policy(trust))
    scheduler.create_schedule(**schedule)
    with pytest.raises(AwsError, match="AccessDenied"):
        sample.aws.run_schedule("nightly", AT)
    may = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": function}
    iam.put_role_policy(RoleName="scheduler", PolicyName="may", PolicyDocument=policy(may))
    assert sample.aws.run_schedule("nightly", AT) == {"StatusCode": 202}
    assert AT in lines(sample, 1)[0]
