"""Background jobs: [jobs] creates their resources, a release changes both functions, and no job is lost."""

import json
from typing import Any

import pytest

from tests.deploy.aws_account import AwsAccount

JOBS = """
[jobs]
module = "app.jobs"
[jobs.schedule.nightly]
at = "cron(0 3 * * ? *)"
timezone = "Europe/Berlin"
"""
NAME = "my-api-prod-jobs"


def jobs_function(event: dict[str, Any]) -> dict[str, Any]:
    """The jobs function. It only has the job nightly."""
    return {"jobs": ["nightly"], "unknown": [job for job in event["check"] if job != "nightly"], "need_arguments": []}


@pytest.fixture
def account(account: AwsAccount) -> AwsAccount:
    account.functions.functions[NAME] = jobs_function
    replace_jobs(account, JOBS)
    return account


def replace_jobs(account: AwsAccount, table: str) -> None:
    file = account.project / "deploy.toml"
    file.write_text(file.read_text("utf-8").partition("\n[jobs]")[0] + table, "utf-8")


def send_failed_job(account: AwsAccount) -> None:
    sqs = account.client("sqs")
    url = sqs.get_queue_url(QueueName=f"{NAME}-failed")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody=json.dumps({"job": "nightly", "id": "one", "arguments": {"day": 7}}))


def live_image(account: AwsAccount, function: str) -> str:
    return str(account.client("lambda").get_function(FunctionName=function, Qualifier="live")["Code"]["ImageUri"])


def test_a_schedule_sends_its_job_to_the_queue_that_the_function_reads(account: AwsAccount) -> None:
    assert account.run("--image", account.push_image()) == 0
    queue = f"arn:aws:sqs:us-east-1:123456789012:{NAME}"
    schedule = account.client("scheduler").get_schedule(GroupName=account.name, Name="nightly")
    assert (schedule["ScheduleExpressionTimezone"], schedule["Target"]["Arn"]) == ("Europe/Berlin", queue)
    assert json.loads(schedule["Target"]["Input"])["job"] == "nightly"
    (mapping,) = account.client("lambda").list_event_source_mappings(EventSourceArn=queue)["EventSourceMappings"]
    assert mapping["FunctionArn"].endswith(f":{NAME}:live")
    variables = account.client("lambda").get_function(FunctionName=account.name)["Configuration"]["Environment"]
    assert variables["Variables"]["JOBS_MODULE"] == "app.jobs"


def test_a_second_deploy_changes_nothing(account: AwsAccount) -> None:
    image = account.push_image()
    account.run("--image", image)
    assert account.run("--image", image) == 0
    assert account.mutations == []


def test_a_release_and_a_rollback_change_both_functions(account: AwsAccount) -> None:
    account.run("--image", account.push_image("one"))
    assert account.run("--image", account.push_image("two")) == 0
    new = live_image(account, account.name)
    assert live_image(account, NAME) == new
    assert account.run("rollback") == 0
    assert live_image(account, NAME) == live_image(account, account.name) != new


def test_a_scheduled_job_that_does_not_exist_releases_nothing(
    account: AwsAccount, capsys: pytest.CaptureFixture[str]
) -> None:
    account.run("--image", account.push_image("one"))
    replace_jobs(account, JOBS.replace("nightly", "weekly"))
    assert account.run("--image", account.push_image("two")) == 1
    assert "app.jobs does not contain the job weekly" in capsys.readouterr().err
    assert account.live_version() == "1"
    assert "CreateSchedule" not in account.mutations


def test_failed_jobs_are_shown_and_prevent_the_removal(account: AwsAccount, capsys: pytest.CaptureFixture[str]) -> None:
    image = account.push_image()
    account.run("--image", image)
    send_failed_job(account)
    assert account.run("jobs") == 0
    output = capsys.readouterr().out
    assert "waiting    none\nrunning    none\nfailed     1\n" in output
    assert '  nightly  id one  {"day": 7}\n' in output
    replace_jobs(account, "")
    for command in ("plan", "deploy"):
        assert account.run(command, "--image", image) == 1
        assert f"the queue {NAME}-failed contains 1 job: 1 waiting · 0 running or to be re" in capsys.readouterr().err
    assert account.mutations == []


def test_removing_the_table_deletes_everything_that_it_created(
    account: AwsAccount, capsys: pytest.CaptureFixture[str]
) -> None:
    image = account.push_image()
    account.run("--image", image)
    replace_jobs(account, "")
    assert account.run("--image", image) == 0
    assert account.client("sqs").list_queues().get("QueueUrls", []) == []
    assert NAME not in [function["FunctionName"] for function in account.client("lambda").list_functions()["Functions"]]
    assert [role["RoleName"] for role in account.client("iam").list_roles()["Roles"]] == [account.name]
    account.run("--image", image)
    assert account.mutations == []
    assert not {"GetQueueUrl", "GetScheduleGroup", "ListEventSourceMappings"} & {*account.calls}
    assert account.run("rollback") == 0
    assert "Version 1 cannot queue its jobs, because [jobs] was removed" in capsys.readouterr().out
