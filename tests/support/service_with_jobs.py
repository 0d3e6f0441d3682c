"""A deployed service that queues background jobs, which write one line each to the log."""

import http.client
import json
import re
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import urlsplit

from embedded_aws import EmbeddedAws
from scripts.deploy_tool import Run
from scripts.project_changes import append
from scripts.projects import Project
from tests.support.deploy_tool import DeployTool, push_image
from tests.support.sample_queue import wait_until

NAME = "my-api-prod"
TIMEOUT_S = 5
VISIBILITY_TIMEOUT_S = 6 * TIMEOUT_S
LINE = re.compile(r"(\w+) (\d+) ran in release (\d+)")
ROUTE = """

import time

from fastapi.responses import JSONResponse

from app import jobs
from aws_lambda.jobs import JobError


@app.post("/jobs/{name}/{number}")
async def queue_job(name: str, number: int) -> JSONResponse:
    started = time.perf_counter()
    try:
        return JSONResponse({"id": await getattr(jobs, name).later(number=number)}, 202)
    except JobError as error:
        return JSONResponse({"error": str(error), "duration_s": time.perf_counter() - started}, 503)
"""
JOBS = """
import os
import signal

from aws_lambda.jobs import job

RELEASE = {release}
runs = 0


@job
async def count(number: int) -> None:
    global runs
    runs += 1
    if runs % {crash_interval} == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    print(f"count {{number}} ran in release {{RELEASE}}", flush=True)


@job
def fail_in_release_1(number: int) -> None:
    if RELEASE == 1:
        raise ValueError("release 1 has a fault")
    print(f"fail_in_release_1 {{number}} ran in release {{RELEASE}}", flush=True)
"""
NEW_JOB = """

@job
def added(number: int) -> None:
    print(f"added {number} ran in release {RELEASE}", flush=True)
"""


class ServiceWithJobs:
    """A service with the jobs count, fail_in_release_1 and, from release 2 on, added."""

    def __init__(self, project: Project, aws: EmbeddedAws, crash_interval: int) -> None:
        self.aws = aws
        self.url = ""
        self._project = project
        self._crash_interval = crash_interval
        self._deploy = DeployTool(project, aws)
        append(project, "app/main.py", ROUTE)
        append(project, "deploy.toml", f'\n[jobs]\nmodule = "app.jobs"\ntimeout_s = {TIMEOUT_S}\n')
        project.edit("deploy.toml", 'alarm_email = ""', 'alarm_email = "ops@example.com"')

    def run(self, *arguments: str) -> Run:
        """Run ./deploy.sh. Raise AssertionError if it fails."""
        run = self._deploy(*arguments)
        assert run.code == 0, run.out + run.err
        return run

    def release(self, number: int) -> None:
        """Deploy a release with this number."""
        source = JOBS.format(release=number, crash_interval=self._crash_interval) + (NEW_JOB if number > 1 else "")
        (self._project.path / "app/jobs.py").write_text(source, encoding="utf-8")
        self.url = self.run("--image", push_image(self._project, self.aws)).url

    @contextmanager
    def connect(self) -> Iterator[http.client.HTTPConnection]:
        """Open a connection to the public URL."""
        with closing(http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=60)) as connection:
            yield connection

    def queue(self, job: str, number: int, connection: http.client.HTTPConnection | None = None) -> tuple[int, Any]:
        """Queue a job through the public URL. Return the status and the JSON of the response."""
        if connection is None:
            with self.connect() as new:
                return self.queue(job, number, new)
        connection.request("POST", f"/jobs/{job}/{number}")
        response = connection.getresponse()
        return response.status, json.loads(response.read())

    def counts(self, queue: str = "jobs") -> tuple[int, int]:
        """Return the numbers of visible and in-flight messages."""
        sqs = self.aws.client("sqs")
        url = sqs.get_queue_url(QueueName=f"{NAME}-{queue}")["QueueUrl"]
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        visible, in_flight = (int(attributes[name]) for name in names)
        return visible, in_flight

    def finished(self) -> list[tuple[str, int, int]]:
        """Return the name, the number and the release of each run of a job, in the order of the log."""
        groups = self.aws.client("logs").describe_log_groups()["logGroups"]
        lines = [line for group in groups for line in self.aws.log_messages(group["logGroupName"])]
        return [(found[1], int(found[2]), int(found[3])) for line in lines if (found := LINE.search(line))]

    def wait_until_idle(self, in_flight: int = 0) -> None:
        """Wait until no job is waiting or running. This number of failed ones may wait for their next attempt."""
        wait_until(lambda: self.counts() == (0, in_flight))

    def retry(self) -> None:
        """Advance the clock until failed jobs are due again."""
        self.aws.clock.advance(VISIBILITY_TIMEOUT_S)

    def finish(self) -> None:
        """Run all jobs, and repeat those that failed, until the queue is empty."""
        deadline = time.monotonic() + 120
        previous = (-1, -1)
        while (current := self.counts()) != (0, 0):
            assert time.monotonic() < deadline, current
            if current == previous and current[0] == 0:  # only failed jobs, which wait for their next attempt
                self.retry()
            previous = current
            time.sleep(0.3)
