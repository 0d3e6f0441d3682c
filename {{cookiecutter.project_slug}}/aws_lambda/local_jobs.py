"""Run jobs in the background of this process, instead of sending them to a queue, on machines other than Lambda."""

import asyncio
import inspect
import json
import logging
from contextvars import Context
from threading import Thread

import anyio.from_thread
from starlette.concurrency import run_in_threadpool

from aws_lambda.jobs import AsyncJob, Message, current_job_id

logger = logging.getLogger(__name__)

_tasks: set[asyncio.Task[None]] = set()  # the jobs that are running; an event loop keeps only weak references


def start(message: Message) -> None:
    """Run a job in the background of this event loop. It does not end with the request, and does not see its context."""
    task = asyncio.get_running_loop().create_task(_run(message), context=Context())
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)


def start_from_thread(message: Message) -> None:
    """Run a job in the event loop for which this thread works, or in a new one if there is none."""
    try:
        anyio.from_thread.run_sync(start, message)
    except RuntimeError:  # this thread was not started by an event loop
        Thread(target=lambda: asyncio.run(_run_all(message)), name=message.job.__name__).start()


async def _run_all(message: Message) -> None:
    """Run a job, and those that it starts."""
    loop = asyncio.get_running_loop()
    start(message)
    while tasks := [task for task in list(_tasks) if task.get_loop() is loop]:
        await asyncio.wait(tasks)


async def _run(message: Message) -> None:
    """Run a job as the jobs function does, but only once. Log an exception."""
    job = message.job
    current_job_id.set(message.id)
    try:
        bound = job.load_arguments(json.loads(message.body)["arguments"])
        if isinstance(job, AsyncJob):
            await job(*bound.args, **bound.kwargs)
        else:
            result = await run_in_threadpool(job, *bound.args, **bound.kwargs)
            if inspect.isawaitable(result):
                await result
    except (Exception, asyncio.CancelledError, SystemExit):
        logger.exception("%s failed", job.__name__, extra={"job": job.__name__, "job_id": message.id})
