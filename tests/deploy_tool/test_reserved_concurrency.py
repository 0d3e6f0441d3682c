"""Test `reserved_concurrency`: requests beyond the limit get status 429 until the key is removed."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.acceptance_scenario import fetch
from tests.support.deployed_stage import NAME, DeployedStage

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


def reserved_concurrency(stage: DeployedStage) -> int | None:
    response = stage.aws.client("lambda").get_function_concurrency(FunctionName=NAME)
    reserved: int | None = response.get("ReservedConcurrentExecutions")
    return reserved


def test_reserved_concurrency_limits_concurrent_requests_until_it_is_removed(
    stage: DeployedStage, tmp_path: Path
) -> None:
    busy = tmp_path / "busy"
    image = stage.push("slow", SLOW.format(busy=str(busy)))
    stage.configure("reserved_concurrency = 1")
    url = stage.deploy("--image", image).url
    assert reserved_concurrency(stage) == 1
    with during_request(url + "slow", busy):
        assert fetch(url)[0] == 429
    assert fetch(url)[0] == 200

    stage.project.edit("deploy.toml", "reserved_concurrency = 1", "")
    removed = stage.deploy("--image", image)
    assert "1 updated" in removed.out
    assert reserved_concurrency(stage) is None
    with during_request(url + "slow", busy):
        assert fetch(url)[0] == 200


def test_a_number_above_the_quota_of_the_account_is_an_error(stage: DeployedStage) -> None:
    stage.configure("reserved_concurrency = 1")
    stage.release("old")
    stage.configure("reserved_concurrency = 901")  # the account has 1,000, and 100 must stay unreserved
    refused = stage.release("old")
    assert refused.code == 1
    message, hint = refused.err.splitlines()
    assert message.startswith("PutFunctionConcurrency failed with InvalidParameterValueException: ")
    assert "below its minimum value of [100]" in message
    assert hint == "Fix the cause, then run the same command again."
    assert reserved_concurrency(stage) == 1
    assert stage.get() == "old"


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
