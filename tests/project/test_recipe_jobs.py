"""Test the recipes that run a job after the response and on a schedule."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from embedded_aws import ManualClock
from scripts.project_changes import extend_aws_timeouts
from scripts.projects import combination_name
from tests.support.bake import Bake
from tests.support.deploy_tool import push_image
from tests.support.deployed_stage import NAME
from tests.support.recipes import DEPLOYED, RecipeService, deployed_with_every_recipe
from tests.support.sample_queue import wait_until

SCHEDULED_AT = ("2026-11-23T03:00:00Z", "2026-11-24T03:00:00Z")
ORDER = b'{"email": "ada@example.com"}'
LOG_LINE = '    logger.info("receipt %s for order %s", job_id(), order_id)'
FAILING_LINE = '    raise ConnectionError(f"no mail server for {job_id()}")'
ATTEMPTS = 5
RETRY_S = 360  # six times the default of timeout_s


@pytest.fixture(params=DEPLOYED, ids=combination_name)
def service(request: pytest.FixtureRequest, bake: Bake, tmp_path: Path) -> Iterator[RecipeService]:
    """Deploy a project with every recipe, on a clock that only the test and the deploy tool advance."""
    project = extend_aws_timeouts(bake(**request.param).copy(tmp_path / "baked"))
    with deployed_with_every_recipe(project, tmp_path / "my-api", ManualClock()) as service:
        yield service


def place_order(service: RecipeService) -> str:
    status, body = service.request("orders", ORDER)
    assert status == 202, body
    return str(json.loads(body)["order_id"])


def release(service: RecipeService) -> None:
    run = service.deploy("--image", push_image(service.project, service.aws))
    assert run.code == 0, run.out + run.err


def attributes(service: RecipeService, queue: str) -> dict[str, Any]:
    sqs = service.aws.client("sqs")
    url = sqs.get_queue_url(QueueName=f"{NAME}-{queue}")["QueueUrl"]
    return dict(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"])


def wait_until_idle(service: RecipeService, failed: int = 0) -> None:
    """Wait until no job runs, and this number of failed ones wait for their next attempt."""
    wait_until(
        lambda: (
            attributes(service, "jobs")["ApproximateNumberOfMessages"] == "0"
            and attributes(service, "jobs")["ApproximateNumberOfMessagesNotVisible"] == str(failed)
        )
    )


def test_a_job_runs_after_the_response(service: RecipeService) -> None:
    order = place_order(service)
    (receipt,) = service.wait_for_log_records(f"for order {order}")
    (finished,) = service.wait_for_log_records("send_receipt finished")
    assert receipt["message"] == f"receipt {finished['job_id']} for order {order}"
    assert finished["attempt"] == 1
    assert service.request("orders", json.dumps({"email": "x" * 2**20}).encode())[0] == 500
    assert service.wait_for_log_records("SQS allows 1,048,576")
    wait_until_idle(service)


def test_a_job_runs_on_its_schedule(service: RecipeService) -> None:
    assert "nightly  cron(0 3 * * ? *) Europe/Berlin  enabled" in service.deploy("jobs").out
    for count, time in enumerate(SCHEDULED_AT, 1):
        service.aws.run_schedule("nightly", time, NAME)
        service.wait_for_log_records("nightly finished", count)
    ids = {f"nightly {time}" for time in SCHEDULED_AT}
    assert {record["job_id"] for record in service.log_records("nightly finished")} == ids
    assert {record["message"] for record in service.log_records("nightly job")} == {f"nightly job {id}" for id in ids}
    assert "Nothing to deploy: " in service.deploy("--image", service.image).out
    assert "Nothing to change." in service.deploy("plan", "--image", service.image).out
    wait_until_idle(service)


def test_a_client_cannot_start_a_job(service: RecipeService) -> None:
    job = {"job": "nightly", "id": "not by you", "arguments": {}}
    record = {"messageId": "1", "body": json.dumps(job), "attributes": {"ApproximateReceiveCount": "1"}}
    for event in (job, {"Records": [record]}, {"check": ["nightly"]}):
        for path in ("", "orders", "?job=nightly"):
            assert service.request(path, json.dumps(event).encode(), job="nightly")[0] in (405, 422)
    assert service.log_records("nightly") == []
    assert service.log_records("not by you") == []
    assert attributes(service, "jobs")["ApproximateNumberOfMessages"] == "0"


def test_a_failed_job_is_kept_and_run_again(service: RecipeService) -> None:
    service.project.edit("app/jobs.py", LOG_LINE, FAILING_LINE)
    release(service)
    order = place_order(service)
    for attempt in range(1, ATTEMPTS + 1):
        failures = service.wait_for_log_records("send_receipt failed", attempt)
        wait_until_idle(service, failed=1)
        service.aws.clock.advance(RETRY_S)
    wait_until(lambda: attributes(service, "jobs-failed")["ApproximateNumberOfMessages"] == "1")
    assert [failure["attempt"] for failure in failures] == [1, 2, 3, 4, 5]
    (job_id,) = {failure["job_id"] for failure in failures}
    assert attributes(service, "jobs-failed")["MessageRetentionPeriod"] == str(14 * 24 * 3600)
    assert "no mail server" in service.deploy("logs", "--errors").out
    output = service.deploy("jobs").out
    assert f"send_receipt  id {job_id}  " in output
    assert order in output
    assert "./deploy.sh jobs retry" in output
    service.project.edit("app/jobs.py", FAILING_LINE, LOG_LINE)
    release(service)
    assert "1 failed job was moved back to the queue." in service.deploy("jobs", "retry").out
    assert service.wait_for_log_records(f"receipt {job_id} for order {order}")
    wait_until_idle(service)
