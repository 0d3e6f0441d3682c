"""Test `reserved_concurrency`: requests beyond the limit get status 429 until the key is removed."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from embedded_aws import EmbeddedAws, ManualClock
from scripts.acceptance_scenario import fetch
from scripts.deploy_tool import Run
from scripts.project_changes import write_handler
from tests.support.bake import Bake
from tests.support.deploy_tool import run_in_process
from tests.support.deployed_stage import NAME

# A request for /slow takes until the file is deleted.
SLOW = """
import pathlib, time

busy = pathlib.Path({busy!r})

def handler(event, context):
    if event["rawPath"] == "/slow":
        busy.touch()
        while busy.exists():
            time.sleep(0.01)
    return {{"statusCode": 200, "body": '"done"'}}
"""
UNSET, SET = "# reserved_concurrency = 10  #", "reserved_concurrency = {}  #"  # lines of deploy.toml


def test_reserved_concurrency_limits_concurrent_requests_until_it_is_removed(bake: Bake, tmp_path: Path) -> None:
    project, busy = bake().copy(tmp_path), tmp_path / "busy"
    root = write_handler(tmp_path / "root", SLOW.format(busy=str(busy)))
    with EmbeddedAws(clock=ManualClock()) as aws:
        image = aws.push_image("built-elsewhere", root)

        def deploy() -> Run:
            return run_in_process(project, aws, "--image", image)

        def reserved() -> object:
            response = aws.client("lambda").get_function_concurrency(FunctionName=NAME)
            return response.get("ReservedConcurrentExecutions")

        project.edit("deploy.toml", UNSET, SET.format(1))
        url = deploy().url
        assert reserved() == 1
        with during_request(url + "slow", busy):
            assert fetch(url)[0] == 429
        assert fetch(url)[0] == 200

        project.edit("deploy.toml", SET.format(1), SET.format(901))  # the account has 1,000
        refused = deploy()
        assert refused.code == 1
        message, hint = refused.err.splitlines()
        assert message.startswith("PutFunctionConcurrency failed with InvalidParameterValueException: ")
        assert "below its minimum value of [100]" in message
        assert hint == "Fix the cause, then run the same command again."
        assert reserved() == 1
        assert fetch(url)[0] == 200

        project.edit("deploy.toml", SET.format(901), UNSET)
        removed = deploy()
        assert "1 updated" in removed.out
        assert reserved() is None
        with during_request(url + "slow", busy):
            assert fetch(url)[0] == 200


@contextmanager
def during_request(url: str, busy: Path) -> Iterator[None]:
    """Run the block during a request to this URL."""
    request = threading.Thread(target=fetch, args=(url,))
    request.start()
    while not busy.exists():
        assert request.is_alive()
        time.sleep(0.01)
    try:
        yield
    finally:
        busy.unlink()
        request.join()
