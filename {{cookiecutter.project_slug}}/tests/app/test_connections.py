"""An execution environment holds one connection, so that many of them share a server."""

import asyncio
import multiprocessing
import os
from multiprocessing.connection import Connection

import httpx
import psycopg
import pytest

from tests.lambda_transport import LambdaTransport

ENVIRONMENTS = 5
REQUESTS = 2
ANSWER_S = 60


def environment(pipe: Connection) -> None:
    """A process that serves one request after the other, as Lambda sends them."""
    asyncio.set_event_loop(asyncio.new_event_loop())  # the one it was forked with is shared by all
    from app.main import handler

    with httpx.Client(transport=LambdaTransport(handler), base_url="https://service") as client:
        for number in range(REQUESTS):
            pipe.recv()
            pipe.send(client.post("/items", json={"name": f"{os.getpid()} {number}"}).status_code)
        pipe.recv()


def answer(pipe: Connection) -> object:
    return pipe.recv() if pipe.poll(ANSWER_S) else "no answer"


def test_each_environment_holds_one(database: str) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "app.main", "psycopg"])  # so that all of them start at once
    pipes = [context.Pipe() for _ in range(ENVIRONMENTS)]
    processes = [context.Process(target=environment, args=(theirs,), daemon=True) for _, theirs in pipes]
    try:
        for process in processes:
            process.start()
        for _ in range(REQUESTS):
            for ours, _ in pipes:
                ours.send(None)
            assert [answer(ours) for ours, _ in pipes] == [201] * ENVIRONMENTS
        with psycopg.connect(database) as connection:
            count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> %s"
            assert connection.execute(count, [connection.info.backend_pid]).fetchone() == (ENVIRONMENTS,)
            assert connection.execute("SELECT count(*) FROM items").fetchone() == (ENVIRONMENTS * REQUESTS,)
    finally:
        for process in processes:
            process.kill()
            process.join()


def test_an_environment_never_holds_more_than_two(database: str) -> None:
    from sqlalchemy.exc import TimeoutError

    from app.db import get_engine

    get_engine().pool._timeout = 0.1  # type: ignore[attr-defined]
    with get_engine().connect(), get_engine().connect(), pytest.raises(TimeoutError):
        get_engine().connect()
