"""Test that the jobs function changes its version together with the service."""

import json
from pathlib import Path

import pytest

from embedded_aws.clock import Delays
from tests.support.bake import Bake
from tests.support.deployed_stage import JOBS as JOBS_HANDLER
from tests.support.deployed_stage import NAME, SERVICE, DeployedStage, copying_bake, deployed_stage, task_root

JOBS_NAME = f"{NAME}-jobs"
JOBS = """
[jobs]
module = "app.jobs"
timeout_s = {timeout_s}
"""
SCHEDULE = """
[jobs.schedule.{job}]
at = "rate(1 hour)"
"""
BROKEN_URL = """
def handler(event, context):
    return {"statusCode": 200 if event["rawPath"] == "/health" else 500, "body": "broken"}
"""


@pytest.fixture
def stage(stage: DeployedStage) -> DeployedStage:
    replace_jobs(stage, JOBS.format(timeout_s=10))
    return stage


def replace_jobs(stage: DeployedStage, table: str) -> None:
    file: Path = stage.project.path / "deploy.toml"
    file.write_text(file.read_text("utf-8").partition("\n[jobs]")[0] + table, "utf-8")


def push_with_jobs(stage: DeployedStage, folder: Path, name: str, handler: str) -> str:
    """Push an image whose jobs function has this handler, and return its URI."""
    root = task_root(folder, name, SERVICE.format(body=name))
    (root / "aws_lambda/job_handler.py").write_text(handler, "utf-8")
    return stage.aws.push_image("built-elsewhere", root, tag=name)


def live_images(stage: DeployedStage) -> list[str]:
    """Return the digests of the live images of the service and of the jobs function."""
    client = stage.aws.client("lambda")
    versions = [client.get_function(FunctionName=name, Qualifier="live") for name in (NAME, JOBS_NAME)]
    return [version["Code"]["ResolvedImageUri"].rpartition("@")[2] for version in versions]


def jobs_version(stage: DeployedStage) -> str:
    return str(stage.aws.client("lambda").get_alias(FunctionName=JOBS_NAME, Name="live")["FunctionVersion"])


def visibility_timeout(stage: DeployedStage) -> str:
    sqs = stage.aws.client("sqs")
    url = sqs.get_queue_url(QueueName=JOBS_NAME)["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])["Attributes"]
    return str(attributes["VisibilityTimeout"])


def release(stage: DeployedStage, image: str) -> None:
    run = stage.release(image)
    assert run.code == 0, run.out + run.err


def test_a_deploy_waits_until_new_queues_can_be_used(bake: Bake, tmp_path: Path) -> None:
    with deployed_stage(copying_bake(bake, tmp_path), tmp_path, Delays(queue_ready_s=5)) as stage:
        replace_jobs(stage, JOBS.format(timeout_s=10))
        started = stage.aws.clock.time()
        release(stage, "old")
        assert stage.aws.clock.time() - started >= 10  # the queue of failed jobs comes first


def test_a_release_and_a_rollback_move_both_aliases(stage: DeployedStage) -> None:
    release(stage, "old")
    old, same = live_images(stage)
    assert old == same
    release(stage, "new")
    new, same = live_images(stage)
    assert old != new == same
    rollback = stage.deploy("rollback")
    assert rollback.code == 0, rollback.err
    assert live_images(stage) == [old, old]
    # The jobs function first: it knows every job that the service queues.
    assert stage.mutations == ["UpdateAlias", "UpdateAlias"]
    release(stage, "new")
    assert live_images(stage) == [new, new]


def test_when_the_url_fails_both_previous_versions_are_live_again(stage: DeployedStage) -> None:
    release(stage, "old")
    before = live_images(stage)
    failed = stage.deploy("--image", stage.push("broken", BROKEN_URL))
    assert failed.code == 1
    assert "Version 1 is live again." in failed.err
    assert live_images(stage) == before


def test_when_the_alias_of_the_service_cannot_be_moved_both_previous_versions_stay_live(stage: DeployedStage) -> None:
    release(stage, "old")
    before = live_images(stage)
    stage.aws.fail("lambda:UpdateAlias", "deny", call=2)
    assert stage.release("new").code == 1
    assert live_images(stage) == before


@pytest.mark.parametrize(
    ("handler", "job", "error"),
    [
        ("raise RuntimeError('the module is missing')", "nightly", "of my-api-prod-jobs failed its check: "),
        (JOBS_HANDLER, "weekly", "app.jobs does not contain the job weekly, which deploy.toml schedules."),
        (
            JOBS_HANDLER.replace('ments": []', 'ments": ["nightly"]'),
            "nightly",
            "The job nightly, which deploy.toml sch",
        ),
    ],
)
def test_a_jobs_function_that_fails_its_check_does_not_go_live(
    stage: DeployedStage, tmp_path: Path, handler: str, job: str, error: str
) -> None:
    release(stage, "old")
    before = live_images(stage)
    replace_jobs(stage, JOBS.format(timeout_s=10) + SCHEDULE.format(job=job))
    failed = stage.deploy("--image", push_with_jobs(stage, tmp_path / "roots", "other-jobs", handler))
    assert failed.code == 1
    assert error in failed.err
    assert "No traffic was moved." in failed.err
    assert live_images(stage) == before
    assert stage.live_version() == "1"
    replace_jobs(stage, JOBS.format(timeout_s=10))
    release(stage, "new")


def test_the_visibility_timeout_is_never_shorter_than_a_live_version_needs(stage: DeployedStage) -> None:
    release(stage, "old")
    assert visibility_timeout(stage) == "60"
    replace_jobs(stage, JOBS.format(timeout_s=100))
    release(stage, "new")
    assert visibility_timeout(stage) == "600"
    assert stage.mutations.index("SetQueueAttributes") < stage.mutations.index("UpdateFunctionConfiguration")
    replace_jobs(stage, JOBS.format(timeout_s=10))
    release(stage, "other")
    assert visibility_timeout(stage) == "60"
    assert stage.mutations.index("SetQueueAttributes") > stage.mutations.index("UpdateAlias")
    assert stage.deploy("rollback").code == 0
    assert visibility_timeout(stage) == "600"
    assert stage.mutations == ["SetQueueAttributes", "UpdateAlias", "UpdateAlias"]


def test_only_settings_of_jobs_change_without_a_new_version_of_the_service(stage: DeployedStage) -> None:
    release(stage, "old")
    replace_jobs(stage, JOBS.format(timeout_s=20) + "memory_mb = 1024\nmax_concurrency = 50\n")
    plan = stage.deploy("plan", "--json", "--image", stage.images["old"])
    data = json.loads(plan.out)
    assert data["new_version"] is False
    assert [change["kind"] for change in data["changes"]] == ["queue", "function", "event source mapping", "alias"]
    release(stage, "old")
    assert stage.live_version() == "1"
    live = stage.aws.client("lambda").get_function_configuration(FunctionName=JOBS_NAME, Qualifier="live")
    assert (live["Timeout"], live["MemorySize"]) == (20, 1024)
    release(stage, "old")
    assert stage.mutations == []


def test_versions_that_belong_to_no_version_of_the_service_are_deleted(stage: DeployedStage) -> None:
    stage.configure("keep_releases = 2")
    for image in ("old", "new", "other", "old", "new"):
        release(stage, image)
    release(stage, "new")
    client = stage.aws.client("lambda")
    published = client.list_versions_by_function(FunctionName=JOBS_NAME)["Versions"]
    assert [version["Version"] for version in published if version["Version"] != "$LATEST"] == ["4", "5"]
    assert jobs_version(stage) == "5"
