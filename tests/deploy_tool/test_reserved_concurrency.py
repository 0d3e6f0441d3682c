"""`reserved_concurrency` limits concurrent executions: further requests get status 429, until the key is removed."""

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
KEY, LINE = "# reserved_concurrency = 10  #", "reserved_concurrency = {}  #"


def test_it_limits_concurrent_requests_and_can_be_removed(bake: Bake, tmp_path: Path) -> None:
    project, busy = bake().copy(tmp_path), tmp_path / "busy"
    root = write_handler(tmp_path / "root", SLOW.format(busy=str(busy)))
    with EmbeddedAws(clock=ManualClock()) as aws:
        image = aws.push_image("built-elsewhere", root)

        def deploy() -> Run:
            return run_in_process(project, aws, "--image", image)

        def reserved() -> object:
            response = aws.client("lambda").get_function_concurrency(FunctionName="my-api-prod")
            return response.get("ReservedConcurrentExecutions")

        project.edit("deploy.toml", KEY, LINE.format(1))
        url = deploy().url
        assert reserved() == 1
        with running(url + "slow", busy):
            assert fetch(url)[0] == 429
        assert fetch(url)[0] == 200

        project.edit("deploy.toml", LINE.format(1), LINE.format(901))  # of 1,000
        refused = deploy()
        assert refused.code == 1
        message, hint = refused.err.splitlines()
        assert message.startswith("PutFunctionConcurrency failed with InvalidParameterValueException: ")
        assert "below its minimum value of [100]" in message
        assert hint == "Fix the cause, then run the same command again."
        assert (reserved(), fetch(url)[0]) == (1, 200)

        project.edit("deploy.toml", LINE.format(901), KEY)
        removed = deploy()
        assert "1 updated" in removed.out
        assert reserved() is None
        with running(url + "slow", busy):
            assert fetch(url)[0] == 200


@contextmanager
def running(url: str, busy: Path) -> Iterator[None]:
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
