"""Test background jobs on the embedded AWS, while the service is released, crashes or cannot reach its queue.

The environment variable JOBS is the number of jobs that are queued during two releases, which then take real time.
Without it, the test queues 200.
"""

import itertools
import json
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from embedded_aws import EmbeddedAws, ManualClock
from embedded_aws.calls import POLLER
from embedded_aws.faults import Kind
from scripts.project_changes import disable_throttling, extend_aws_timeouts
from scripts.projects import Project
from tests.support.bake import Bake
from tests.support.sample_queue import wait_until
from tests.support.service_with_jobs import NAME, ServiceWithJobs

JOBS = int(os.environ.get("JOBS", "200"))
CLIENTS = 4
ATTEMPTS = 5  # to queue a job after a fault: on a busy machine, the service may respond with 503
PAUSE_S = 0.05  # between two requests of a client, so that there are jobs until the second release is live
CRASH_INTERVAL = 40  # every execution environment crashes in its 40th job
DUPLICATES = 0.05
RECEIVES = 5  # then a job is moved to the dead-letter queue
SENT_WITHIN_S = 2


@contextmanager
def service_with_first_release(project: Project) -> Iterator[ServiceWithJobs]:
    """Yield a service whose first release is live, on a clock that only the test and the deploy tool advance."""
    with EmbeddedAws(clock=ManualClock()) as aws:
        service = ServiceWithJobs(project, aws, crash_interval=1_000_000)
        service.release(1)
        yield service


@pytest.fixture
def service(bake: Bake, tmp_path: Path) -> Iterator[ServiceWithJobs]:
    """A service that waits long for AWS, so that a busy machine causes no error."""
    with service_with_first_release(extend_aws_timeouts(bake().copy(tmp_path))) as service:
        yield service


@pytest.fixture
def service_with_limits(bake: Bake, tmp_path: Path) -> Iterator[ServiceWithJobs]:
    """A service that waits for AWS as long as the generated one."""
    with service_with_first_release(bake().copy(tmp_path)) as service:
        yield service


def test_no_job_is_lost_during_releases_and_crashes(
    bake: Bake, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    with EmbeddedAws(clock=None if "JOBS" in os.environ else ManualClock()) as aws:
        aws.queues.deliver_twice(DUPLICATES, seed=1)
        project = extend_aws_timeouts(disable_throttling(bake().copy(tmp_path)))
        service = ServiceWithJobs(project, aws, CRASH_INTERVAL)
        service.release(1)
        numbers, releases_are_live, refused = itertools.count(), threading.Event(), []

        def queue_jobs() -> int:
            """Queue jobs until both releases are live and all clients have queued enough. Return their number."""
            queued = 0
            with service.connect() as connection:
                while (number := next(numbers)) < JOBS or not releases_are_live.is_set():
                    status, response = service.queue("count", number, connection)
                    queued += 1
                    if status != 202:
                        refused.append(response)
                    releases_are_live.wait(0 if number >= JOBS else PAUSE_S)
            return queued

        with ThreadPoolExecutor(CLIENTS) as pool:
            clients = [pool.submit(queue_jobs) for _ in range(CLIENTS)]
            try:
                service.release(2)
                service.release(3)
            finally:
                releases_are_live.set()
            queued = sum(client.result() for client in clients)
        service.finish()
        runs = service.finished()
        failed = service.counts("jobs-failed")

    assert refused == []
    assert failed == (0, 0)
    assert {number for _, number, _ in runs} >= set(range(JOBS))
    assert len({number for _, number, _ in runs}) == queued
    by_release = {release: sum(run[2] == release for run in runs) for release in (1, 2, 3)}
    assert all(by_release.values()), by_release
    figures = f"{queued:,} jobs during two releases ran {len(runs):,} times; runs by release: {by_release}"
    record_property("figures", f"background jobs: {figures}")


def test_a_job_that_always_fails_is_kept_with_its_arguments_and_fires_the_alarm(service: ServiceWithJobs) -> None:
    status, response = service.queue("fail_in_release_1", 17)
    assert status == 202
    for _ in range(RECEIVES):
        service.wait_until_idle(in_flight=1)
        assert not service.aws.alarm_fires(f"{NAME}-jobs-failed")
        service.retry()
    wait_until(lambda: service.counts("jobs-failed") == (1, 0))
    assert service.counts() == (0, 0)
    assert service.aws.alarm_fires(f"{NAME}-jobs-failed")
    sqs = service.aws.client("sqs")
    url = sqs.get_queue_url(QueueName=f"{NAME}-jobs-failed")["QueueUrl"]
    (message,) = sqs.receive_message(QueueUrl=url, VisibilityTimeout=0)["Messages"]
    assert json.loads(message["Body"]) == {
        "job": "fail_in_release_1",
        "id": response["id"],
        "arguments": {"number": 17},
    }
    output = service.run("jobs").out
    assert "fail_in_release_1" in output
    assert response["id"] in output
    service.release(2)
    assert "1 failed job was moved back to the queue" in service.run("jobs", "retry").out
    service.wait_until_idle()
    assert service.finished() == [("fail_in_release_1", 17, 2)]
    service.aws.clock.advance(300)
    assert not service.aws.alarm_fires(f"{NAME}-jobs-failed")


def test_a_job_that_the_old_version_queued_runs_on_the_new_one(service: ServiceWithJobs) -> None:
    service.queue("fail_in_release_1", 1)
    service.wait_until_idle(in_flight=1)
    service.release(2)
    service.retry()
    service.wait_until_idle()
    assert service.finished() == [("fail_in_release_1", 1, 2)]


def test_a_job_that_only_the_new_version_knows_survives_a_rollback(service: ServiceWithJobs) -> None:
    service.release(2)
    service.aws.fail("sqs:ReceiveMessage", "throttle", times=None, caller=POLLER)  # until the rollback
    assert service.queue("added", 1)[0] == 202
    service.run("rollback")
    service.aws.clear_faults()
    service.aws.clock.advance(1)
    service.wait_until_idle(in_flight=1)
    assert service.finished() == []
    service.release(2)
    service.retry()
    service.wait_until_idle()
    assert service.finished() == [("added", 1, 2)]


@pytest.mark.parametrize("kind", ["reset_before", "server_error", "throttle", "deny"])
def test_a_route_gets_an_error_within_2_s_if_the_queue_cannot_be_reached(
    service_with_limits: ServiceWithJobs, kind: Kind
) -> None:
    service = service_with_limits
    service.aws.fail("sqs:SendMessage", kind, times=None, caller="arn:aws:iam::*")
    durations_s = []
    for _ in range(3):  # the machine may be busy with something else during one of them
        status, response = service.queue("count", 1)
        assert status == 503
        assert "count" in response["error"]
        durations_s.append(response["duration_s"])
    assert min(durations_s) < SENT_WITHIN_S
    service.aws.clear_faults()
    assert any(service.queue("count", 1)[0] == 202 for _ in range(ATTEMPTS))
    service.wait_until_idle()
    assert set(service.finished()) == {("count", 1, 1)}
