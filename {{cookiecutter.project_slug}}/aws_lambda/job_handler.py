"""The Lambda handler of the jobs function, which runs the jobs in the queue (see aws_lambda/jobs.py).

Lambda imports this module once per execution environment, from the image of the service.
"""

import asyncio
import inspect
import json
import logging
import os
import time
from contextvars import copy_context
from importlib import import_module
from typing import Any

from aws_lambda.jobs import AsyncJob, Job, JobError, current_job_id, find_job
from aws_lambda.secrets import load_secrets
from aws_lambda.telemetry import flush_telemetry

logger = logging.getLogger(__name__)

load_secrets()  # before the jobs are imported, so that any settings library can read them
jobs_module = import_module(os.environ["JOBS_MODULE"])
runner = asyncio.Runner()  # all jobs of an execution environment use the same event loop


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Run the jobs in an event of SQS. Return the messages that SQS has to deliver again, because their jobs failed.

    The deploy tool sends `{"check": ["nightly"]}` with the names of the scheduled jobs, see check_jobs().
    """
    if "check" in event:
        return check_jobs(event["check"])
    failed = [record["messageId"] for record in event["Records"] if not run_job(record)]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def check_jobs(scheduled: list[str]) -> dict[str, list[str]]:
    """Return all jobs, and those scheduled jobs that do not exist or that need arguments. Raise JobError for mistakes."""
    jobs = {name: value for name, value in vars(jobs_module).items() if isinstance(value, Job)}
    for job in jobs.values():
        _ = job.adapters  # raises JobError for an annotation that is not supported
    return {
        "jobs": sorted(jobs),
        "unknown": [name for name in scheduled if name not in jobs],
        "need_arguments": [name for name in scheduled if name in jobs and jobs[name].required],
    }


def run_job(record: dict[str, Any]) -> bool:
    """Run the job in a message of SQS. Return False, after writing one log record, if it fails.

    An exception that is not an error, such as SystemExit, ends the process. SQS delivers the message again.
    """
    fields: dict[str, Any] = {"attempt": int(record["attributes"]["ApproximateReceiveCount"])}
    try:
        name, job_id, arguments = load_message(record["body"])
        fields |= {"job": name, "job_id": job_id}
        job = find_job(name)
        if job is None:
            raise JobError(f"{name} is not a job of {jobs_module.__name__}")
        bound = job.load_arguments(arguments)
    except JobError as error:
        logger.error("The message %s cannot be used: %s", record["messageId"], error, extra=fields)
        return False
    started = time.perf_counter()
    try:
        call(job, job_id, bound)
    except (Exception, asyncio.CancelledError):
        logger.exception("%s failed", job.__name__, extra=fields)
        return False
    finally:
        flush_telemetry()
    fields["duration_ms"] = round((time.perf_counter() - started) * 1000, 2)
    logger.info("%s finished", job.__name__, extra=fields)
    return True


def load_message(body: str) -> tuple[str, str, dict[str, Any]]:
    """Return the name of a job, its ID and its arguments. Raise JobError for any other text."""
    try:
        message = json.loads(body)
        name, job_id, arguments = message["job"], message["id"], dict(message["arguments"])
    except (ValueError, TypeError, KeyError, RecursionError):
        raise JobError("it is not the message of a job") from None
    if not isinstance(name, str) or not isinstance(job_id, str):
        raise JobError("it is not the message of a job")
    return name, job_id, arguments


def call(job: Job[..., Any], job_id: str, bound: inspect.BoundArguments) -> None:
    """Call the function of a job: an asynchronous one in the event loop, any other one without a running loop."""
    context = copy_context()
    context.run(current_job_id.set, job_id)
    if isinstance(job, AsyncJob):
        runner.run(job(*bound.args, **bound.kwargs), context=context)
        return
    result = context.run(job, *bound.args, **bound.kwargs)
    if inspect.iscoroutine(result):
        runner.run(result, context=context)
