"""Test the recipes that run a job on a schedule and continue work after the response."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.projects import combination_name
from tests.support.bake import Bake
from tests.support.deployed_stage import NAME
from tests.support.recipes import (
    DEPLOYED,
    RecipeService,
    copy_generated_files,
    deployed_with_every_recipe,
    follow_all,
)

SCHEDULED_AT = "2026-11-23T03:00:00Z"
# Call the handler of the recipe with jobs that use the event loop of the lifespan, another one, or fail.
RUN_JOBS = """
import asyncio
from contextlib import suppress

from app import jobs
from aws_lambda import handler as module, job_handler
from tests.helpers import create_client

flushed = []
job_handler.flush_traces = lambda: flushed.append(len(flushed))

def use_the_loop():
    assert asyncio.get_event_loop() is module.lifespan.loop
    assert asyncio.get_event_loop().run_until_complete(asyncio.sleep(0, 7)) == 7

def run_another_loop():
    asyncio.run(asyncio.sleep(0))

def fail():
    raise ZeroDivisionError

jobs.JOBS.update(use_the_loop=use_the_loop, run_another_loop=run_another_loop, fail=fail)
for job in ("use_the_loop", "run_another_loop", "use_the_loop", "run_another_loop"):
    assert module.handler({"job": job}, None) == {}
    assert create_client(module.handler).get("/").json() == {"ok": True}
with suppress(ZeroDivisionError):
    module.handler({"job": "fail"}, None)
    raise AssertionError("Lambda must know that the job has failed")
assert flushed == [0, 1, 2, 3, 4]
"""


@pytest.fixture(params=DEPLOYED, ids=combination_name)
def service(request: pytest.FixtureRequest, bake: Bake, tmp_path: Path) -> Iterator[RecipeService]:
    """Deploy a project with every recipe."""
    with deployed_with_every_recipe(bake(**request.param), tmp_path / "my-api") as service:
        yield service


def test_a_job_runs_on_its_schedule(service: RecipeService) -> None:
    assert service.aws.run_schedule(NAME, SCHEDULED_AT) == {"StatusCode": 202}
    assert service.wait_for_log_records(f"nightly job of {SCHEDULED_AT}")
    calls_before = len(service.aws.calls)
    assert "Nothing to deploy: " in service.deploy("--image", service.image).out
    mutations = [call.operation for call in service.aws.calls[calls_before:] if call.mutating]
    assert [operation for operation in mutations if operation != "Invoke"] == []
    scheduler = service.aws.client("scheduler")
    schedule = scheduler.get_schedule(Name=NAME)
    unchanged = {key: schedule[key] for key in ("Name", "FlexibleTimeWindow", "Target")}
    scheduler.update_schedule(**unchanged, ScheduleExpression="rate(1 day)")
    plan = service.deploy("plan", "--image", service.image).out
    assert "~ schedule my-api-prod\n    ScheduleExpression: rate(1 day) → cron(0 3 * * ? *)" in plan
    assert service.deploy("--image", service.image).code == 0
    assert "Nothing to change." in service.deploy("plan", "--image", service.image).out


def test_a_client_cannot_start_a_job_and_a_failed_job_is_repeated(service: RecipeService) -> None:
    event = {"job": "nightly", "scheduled_at": "not by you"}
    assert service.request("?job=nightly", json.dumps(event).encode(), job="nightly")[0] == 405
    assert service.log_records("not by you") == []

    assert not service.aws.alarm_fires(f"{NAME}-errors")
    service.start_job({"job": "nightly", "wrong": True})
    failures = service.wait_for_log_records("unexpected keyword argument 'wrong'", 3)
    assert len({failure["requestId"] for failure in failures}) == 1
    assert service.aws.alarm_fires(f"{NAME}-errors")


def test_work_continues_after_the_response(service: RecipeService) -> None:
    status, body = service.request("orders", b'{"email": "ada@example.com"}')
    order = json.loads(body)["order_id"]
    assert status == 202
    (receipt,) = service.wait_for_log_records(f"receipt for order {order}")
    calls = [call for call in service.aws.calls if call.operation == "Invoke" and call.caller.endswith(NAME)]
    assert [(call.params["InvocationType"], call.status) for call in calls] == [("Event", 202)]
    service.start_job({"job": "send_receipt", "order_id": order, "email": "ada@example.com"})
    second_receipt = service.wait_for_log_records(f"receipt for order {order}", 2)[1]
    assert receipt["requestId"] != second_receipt["requestId"]
    assert service.request("orders", json.dumps({"email": "x" * 2**20}).encode())[0] == 500
    assert service.wait_for_log_records("RequestTooLargeException")

    remove_permission_to_invoke(service)
    assert service.request("orders", b'{"email": "eve@example.com"}')[0] == 500
    assert service.wait_for_log_records("is not authorized to perform: lambda:InvokeFunction")


def remove_permission_to_invoke(service: RecipeService) -> None:
    """Remove the statement with which the recipe lets the service start jobs."""
    iam = service.aws.client("iam")
    policy = iam.get_role_policy(RoleName=NAME, PolicyName="service")["PolicyDocument"]
    statements = [item for item in policy["Statement"] if item["Action"] != ["lambda:InvokeFunction"]]
    assert len(statements) == len(policy["Statement"]) - 1
    document = json.dumps({**policy, "Statement": statements})
    iam.put_role_policy(RoleName=NAME, PolicyName="service", PolicyDocument=document)


def test_jobs_use_the_event_loop_of_the_lifespan_and_flush_traces(bake: Bake, tmp_path: Path) -> None:
    project = follow_all(copy_generated_files(bake(), tmp_path / "my-api"))
    project.run(["python", "-c", RUN_JOBS], env={"WEBHOOK_SECRET": "whsec_"})
