"""The jobs module of the tests of aws_lambda/jobs.py and aws_lambda/job_handler.py."""

import asyncio
import os
from enum import Enum
from typing import Any
from uuid import UUID

from aws_lambda.jobs import job, job_id

LOADED_WITH = os.environ.get("API_KEY")
calls: list[Any] = []  # what the jobs received


class Color(Enum):
    RED = "red"


@job
async def send_receipt(order_id: str, email: str = "nobody@example.com") -> None:
    """Send a receipt."""
    await asyncio.sleep(0)
    calls.append((job_id(), order_id, email))


@job
def nightly() -> None:
    calls.append(job_id())


@job
def parse(uuid: UUID, /, color: Color, *, count: int = 1) -> None:
    calls.append((uuid, color, count))


@job
async def remember_loop() -> None:
    calls.append(asyncio.get_running_loop())


@job
def run_another_loop() -> None:
    calls.append(asyncio.run(asyncio.sleep(0, job_id())))


@job
async def fail(error: str) -> None:
    raise {"ValueError": ValueError, "CancelledError": asyncio.CancelledError, "SystemExit": SystemExit}[error]("a bug")


@job
def fail_in_a_thread() -> None:
    raise ValueError("a bug")


@job
async def start_another() -> None:
    await send_receipt.later("2")


@job
def start_another_from_a_thread() -> None:
    send_receipt.later_sync("3")


async def not_a_job() -> None: ...
