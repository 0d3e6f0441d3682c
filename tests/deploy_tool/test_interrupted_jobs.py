"""Test that deploys that add, change or remove [jobs] can be interrupted at any change, and continued."""

import itertools
import json
from pathlib import Path

import pytest

from tests.support.deploy_tool import remaining_resources
from tests.support.deployed_stage import NAME, DeployedStage, interrupt_at_change

JOBS = """
[jobs]
module = "app.jobs"
[jobs.schedule.nightly]
at = "cron(0 3 * * ? *)"
"""
INTERRUPTED = 130
CREATED = {"my-api-prod-jobs", "my-api-prod-jobs-failed", "my-api-prod-cron"}


def replace_jobs(stage: DeployedStage, table: str) -> None:
    file: Path = stage.project.path / "deploy.toml"
    file.write_text(file.read_text("utf-8").partition("\n[jobs]")[0] + table, "utf-8")


def release(stage: DeployedStage, image: str) -> None:
    run = stage.release(image)
    assert run.code == 0, run.out + run.err


def deploy_interrupted(stage: DeployedStage, monkeypatch: pytest.MonkeyPatch, number: int, when: str) -> bool:
    """Deploy, and press Ctrl-C at a change. Return False if the deploy has fewer changes.

    The deploy is not interrupted after a change that AWS refused at first, such as the creation of a queue.
    """
    with monkeypatch.context() as patch:
        interrupt_at_change(patch, number, when)
        run = stage.release("new")
    assert run.code in (0, INTERRUPTED), run.err
    return run.code == INTERRUPTED or number <= len(stage.mutations)


def queue_url(stage: DeployedStage, name: str) -> str:
    return str(stage.aws.client("sqs").get_queue_url(QueueName=name)["QueueUrl"])


def job_resources(stage: DeployedStage) -> list[str]:
    return [name for name in remaining_resources(stage.aws) if "jobs" in name or "cron" in name]


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_interrupted_addition_can_be_undone_or_continued(
    stage: DeployedStage, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    for number in itertools.count(1):
        replace_jobs(stage, JOBS)
        if not deploy_interrupted(stage, monkeypatch, number, when):
            break
        if number % 2:
            release(stage, "new")
            assert {name.rpartition(" ")[2] for name in job_resources(stage)} >= CREATED
        replace_jobs(stage, "")
        release(stage, "old")
        assert job_resources(stage) == []
    assert number > 10


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_interrupted_removal_can_be_continued(
    stage: DeployedStage, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    for number in itertools.count(1):
        replace_jobs(stage, JOBS)
        release(stage, "old")
        replace_jobs(stage, "")
        if not deploy_interrupted(stage, monkeypatch, number, when):
            break
        release(stage, "new")
        assert job_resources(stage) == []
    assert number > 10
    assert stage.deploy("destroy", "--yes").code == 0
    assert remaining_resources(stage.aws) == []


def test_schedules_are_created_again_while_their_group_is_being_deleted(stage: DeployedStage) -> None:
    replace_jobs(stage, JOBS)
    release(stage, "old")
    scheduler = stage.aws.client("scheduler")
    scheduler.delete_schedule_group(Name=NAME)
    release(stage, "old")
    assert scheduler.get_schedule(GroupName=NAME, Name="nightly")["State"] == "ENABLED"


def test_a_queue_that_somebody_deleted_is_created_again(stage: DeployedStage) -> None:
    replace_jobs(stage, JOBS)
    release(stage, "old")
    stage.aws.client("sqs").delete_queue(QueueUrl=queue_url(stage, f"{NAME}-jobs"))
    release(stage, "old")
    assert queue_url(stage, f"{NAME}-jobs")
    release(stage, "old")
    assert stage.mutations == []


def test_retry_waits_for_a_move_that_is_running(stage: DeployedStage) -> None:
    replace_jobs(stage, JOBS)
    release(stage, "old")
    sqs, failed = stage.aws.client("sqs"), queue_url(stage, f"{NAME}-jobs-failed")
    sqs.send_message(QueueUrl=failed, MessageBody=json.dumps({"job": "nightly", "id": "one", "arguments": {}}))
    arns = [f"arn:aws:sqs:us-east-1:123456789012:{NAME}-jobs{suffix}" for suffix in ("-failed", "")]
    sqs.start_message_move_task(SourceArn=arns[0], DestinationArn=arns[1])
    retry = stage.deploy("jobs", "retry")
    assert retry.code == 0, retry.err
    assert retry.out == "1 failed job was moved back to the queue.\n"
