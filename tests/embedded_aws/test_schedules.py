"""Test EventBridge Scheduler: schedule groups, the validation of schedules, and what a schedule sends."""

import json
from typing import Any

import pytest

from embedded_aws import EmbeddedAws
from embedded_aws.errors import AwsError
from tests.support.sample_function import SampleFunction, raises_client_error
from tests.support.sample_queue import SampleQueue

SCHEDULE = "arn:aws:scheduler:us-east-1:123456789012:schedule"
SCHEDULED_AT = "2026-11-23T03:00:00Z"
TRUST = {
    "Effect": "Allow",
    "Principal": {"Service": "scheduler.amazonaws.com"},
    "Action": "sts:AssumeRole",
    "Condition": {"StringEquals": {"aws:SourceAccount": "123456789012"}},
}


class Schedules:
    """The schedule group `group`, whose schedules send to the queue `jobs` with the role `schedules`."""

    def __init__(self, aws: EmbeddedAws) -> None:
        self.aws = aws
        self.client = aws.client("scheduler")
        self.queue = SampleQueue(aws)
        self.client.create_schedule_group(Name="group", Tags=[{"Key": "a", "Value": "1"}])
        self.role = self.create_role(self.queue.arn)

    def create_role(self, queue_arn: str) -> str:
        """Create the role, which may send to the queue. Return its ARN."""
        iam = self.aws.client("iam")
        role = iam.create_role(RoleName="schedules", AssumeRolePolicyDocument=document(TRUST))["Role"]
        send = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": queue_arn}
        iam.put_role_policy(RoleName="schedules", PolicyName="send", PolicyDocument=document(send))
        self.aws.clock.advance(10)
        return str(role["Arn"])

    def definition(self, **changes: Any) -> dict[str, Any]:
        """Return the parameters of the schedule `nightly`."""
        body = json.dumps({"id": "<aws.scheduler.execution-id>", "at": "<aws.scheduler.scheduled-time>"})
        return {
            "Name": "nightly",
            "GroupName": "group",
            "ScheduleExpression": "cron(0 3 * * ? *)",
            "ScheduleExpressionTimezone": "Europe/Berlin",
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "Target": {"Arn": self.queue.arn, "RoleArn": self.role, "Input": body},
            **changes,
        }

    def create(self, **changes: Any) -> None:
        """Create the schedule `nightly`."""
        self.client.create_schedule(**self.definition(**changes))

    def run(self) -> dict[str, Any]:
        """Run the schedule `nightly`."""
        return self.aws.run_schedule("nightly", SCHEDULED_AT, "group")

    def groups(self) -> dict[str, str]:
        """Return the states of the schedule groups by name."""
        return {group["Name"]: group["State"] for group in self.client.list_schedule_groups()["ScheduleGroups"]}


@pytest.fixture
def schedules(aws: EmbeddedAws) -> Schedules:
    """A schedule group without schedules."""
    return Schedules(aws)


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def test_a_schedule_sends_a_message_with_an_id_of_its_own_each_time(schedules: Schedules) -> None:
    schedules.create()
    ids = [schedules.run()["MessageId"] for _ in range(2)]
    messages = schedules.queue.receive()
    assert {message["MessageId"] for message in messages} == set(ids)
    bodies = [json.loads(message["Body"]) for message in messages]
    assert {body["at"] for body in bodies} == {SCHEDULED_AT}
    assert len({body["id"] for body in bodies}) == 2


def test_a_disabled_schedule_does_not_run(schedules: Schedules) -> None:
    schedules.create(State="DISABLED")
    assert schedules.run() == {}
    assert schedules.queue.counts() == (0, 0, 0)
    schedules.client.update_schedule(**schedules.definition())
    assert schedules.client.get_schedule(GroupName="group", Name="nightly")["State"] == "ENABLED"
    schedules.run()
    assert schedules.queue.counts() == (1, 0, 0)


def test_the_role_of_a_schedule_must_be_allowed_to_send(schedules: Schedules) -> None:
    schedules.create()
    schedules.aws.client("iam").delete_role_policy(RoleName="schedules", PolicyName="send")
    with pytest.raises(AwsError, match="not authorized to perform sqs:SendMessage"):
        schedules.run()


@pytest.mark.parametrize(
    ("key", "value", "is_allowed"),
    [
        ("aws:SourceAccount", "123456789012", True),
        ("aws:SourceAccount", "210987654321", False),
        ("aws:SourceArn", "arn:aws:scheduler:us-east-1:123456789012:schedule-group/group", True),
        ("aws:SourceArn", "arn:aws:scheduler:us-east-1:123456789012:schedule-group/default", False),
    ],
)
def test_the_trust_policy_can_have_conditions(schedules: Schedules, key: str, value: str, is_allowed: bool) -> None:
    """https://docs.aws.amazon.com/scheduler/latest/UserGuide/cross-service-confused-deputy-prevention.html"""
    trust = {**TRUST, "Condition": {"StringEquals": {key: value}}}
    schedules.aws.client("iam").update_assume_role_policy(RoleName="schedules", PolicyDocument=document(trust))
    if is_allowed:
        schedules.create()
    else:
        with raises_client_error("ValidationException", "must allow AWS EventBridge Scheduler to assume the role"):
            schedules.create()


@pytest.mark.parametrize(
    "expression", ["cron(0 3 * * ? *)", "cron(0/5 8-17 ? * MON-FRI *)", "rate(1 hour)", "rate(5 minutes)",
                   "at(2026-12-01T03:00:00)"],
)  # fmt: skip
def test_a_valid_expression_is_accepted(schedules: Schedules, expression: str) -> None:
    schedules.create(ScheduleExpression=expression)


@pytest.mark.parametrize(
    "expression", ["cron(0 3 * * ?)", "0 3 * * ? *", "rate(1 hours)", "rate(5 minute)", "rate(0 minutes)",
                   "rate(1 week)", "at(2026-12-01)", "every day"],
)  # fmt: skip
def test_an_invalid_expression_is_refused(schedules: Schedules, expression: str) -> None:
    with raises_client_error("ValidationException", f"Invalid Schedule Expression {expression}"):
        schedules.create(ScheduleExpression=expression)


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        ({"ScheduleExpressionTimezone": "Europe/Bern"}, "ValidationException", "Timezone"),
        ({"Name": "a/b"}, "ValidationException", "regular expression pattern"),
        ({"Name": "n" * 65}, "ValidationException", "length less than or equal to 64"),
        ({"GroupName": "other"}, "ResourceNotFoundException", "Schedule group other does not exist"),
    ],
)
def test_an_invalid_schedule_is_refused(schedules: Schedules, changes: Any, code: str, message: str) -> None:
    with raises_client_error(code, message):
        schedules.create(**changes)


def test_a_group_is_deleted_with_its_schedules_after_a_while(schedules: Schedules) -> None:
    """https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-group-delete.html"""
    schedules.create()
    schedules.client.delete_schedule_group(Name="group")
    assert schedules.groups() == {"default": "ACTIVE", "group": "DELETING"}
    assert schedules.client.get_schedule_group(Name="group")["State"] == "DELETING"
    with raises_client_error("ConflictException", "already exists"):
        schedules.client.create_schedule_group(Name="group")
    with raises_client_error("ConflictException"):
        schedules.create()
    schedules.aws.clock.advance(schedules.aws.delays.group_s)
    assert schedules.groups() == {"default": "ACTIVE"}
    assert schedules.client.list_schedules()["Schedules"] == []
    with raises_client_error("ResourceNotFoundException"):
        schedules.client.delete_schedule_group(Name="group")
    with raises_client_error("ValidationException"):
        schedules.client.delete_schedule_group(Name="default")
    schedules.client.create_schedule_group(Name="group")
    arn = schedules.client.get_schedule_group(Name="group")["Arn"]
    assert schedules.client.list_tags_for_resource(ResourceArn=arn)["Tags"] == []


def test_only_schedule_groups_have_tags(schedules: Schedules) -> None:
    schedules.create()
    group = schedules.client.get_schedule_group(Name="group")["Arn"]
    schedules.client.tag_resource(ResourceArn=group, Tags=[{"Key": "b", "Value": "2"}])
    tags = schedules.client.list_tags_for_resource(ResourceArn=group)["Tags"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == {"a": "1", "b": "2"}
    schedule = schedules.client.get_schedule(GroupName="group", Name="nightly")["Arn"]
    with raises_client_error("ValidationException", "regular expression pattern"):
        schedules.client.tag_resource(ResourceArn=schedule, Tags=[{"Key": "b", "Value": "2"}])
    with raises_client_error("ResourceNotFoundException"):
        schedules.client.tag_resource(ResourceArn=group + "s", Tags=[{"Key": "b", "Value": "2"}])


@pytest.mark.parametrize(
    ("operation", "needs"),
    [
        ("create_schedule", [("scheduler:CreateSchedule", SCHEDULE + "/group/nightly"),
                             ("iam:PassRole", "arn:aws:iam::123456789012:role/schedules")]),
        ("delete_schedule_group", [("scheduler:DeleteScheduleGroup", SCHEDULE + "-group/group"),
                                   ("scheduler:DeleteSchedule", SCHEDULE + "/group/*")]),
        ("create_schedule_group", [("scheduler:CreateScheduleGroup", SCHEDULE + "-group/new"),
                                   ("scheduler:TagResource", SCHEDULE + "-group/new")]),
    ],
)  # fmt: skip
def test_each_call_needs_permissions_on_the_schedule_or_the_group(
    schedules: Schedules, sample: SampleFunction, operation: str, needs: list[tuple[str, str]]
) -> None:
    """https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoneventbridgescheduler.html"""
    parameters = {
        "create_schedule": schedules.definition(),
        "delete_schedule_group": {"Name": "group"},
        "create_schedule_group": {"Name": "new", "Tags": [{"Key": "a", "Value": "1"}]},
    }[operation]
    statements = [{"Effect": "Allow", "Action": action, "Resource": name} for action, name in needs]
    for missing, (action, name) in enumerate(needs):
        role = sample.role(f"without-{missing}", *statements[:missing], *statements[missing + 1 :])
        message = f"perform: {action} on resource: {name}"
        with schedules.aws.acting_as(role), raises_client_error("AccessDeniedException", message):
            getattr(schedules.client, operation)(**parameters)
    with schedules.aws.acting_as(sample.role("complete", *statements)):
        getattr(schedules.client, operation)(**parameters)
