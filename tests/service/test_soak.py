"""Test that under load, no request fails and the memory of the execution environments does not grow.

The environment variable SOAK is the number of requests to 8 environments. Without it, the test sends
400 requests to 2 environments.
"""

import http.client
import json
import os
import statistics
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import count, islice
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from embedded_aws import EmbeddedAws
from embedded_aws.lambda_.runtime_process import resident_kb
from scripts.project_changes import disable_throttling
from scripts.projects import COMBINATIONS, Answers, combination_name
from tests.support.bake import Bake
from tests.support.deploy_tool import DeployTool, database_for, push_image

NAME = "my-api-prod"
SOAK = int(os.environ.get("SOAK", "0"))
REQUESTS, ENVIRONMENTS = (SOAK, 8) if SOAK else (400, 2)
WARM_UP = 500 if SOAK else 50  # requests to each environment until its heap has reached its size
MAX_GROWTH_KB = 1024  # of the median environment, because a leak affects all of them
MAX_STEP_KB = 4096 if SOAK else 1024  # of each: in a long test, the heap of one may grow by a step of the allocator
TRACE_ID_BYTES = 112  # awslambdaric sets a variable for each invocation, and setenv in glibc never frees the old value
FLOWER = b'{"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}'

DEEP_JSON = b"[" * 2000


def exceeds_recursion_limit(text: bytes) -> bool:
    """Return True if this Python cannot parse JSON that is nested so deeply. Python 3.12 and newer can."""
    try:
        json.loads(text)
    except RecursionError:
        return True
    except ValueError:
        return False
    raise AssertionError("the text is valid JSON")


Request = tuple[str, str, bytes, int]  # method, path, body and expected status
REQUEST_MIX: list[Request] = [
    ("GET", "/", b"", 200),
    ("GET", "/health", b"", 200),
    ("POST", "/predict", FLOWER, 200),
    ("POST", "/predict", b'{"sepal_length": NaN}', 422),
    ("POST", "/predict", DEEP_JSON, 400 if exceeds_recursion_limit(DEEP_JSON) else 422),
    ("POST", "/predict", b'"%s"' % (b"x" * 100_000), 422),
    ("GET", "/openapi.json", b"", 200),
    ("GET", "/nothing-here", b"", 404),
    ("DELETE", "/health", b"", 405),
    ("GET", "/health/", b"", 307),
]
ITEM_REQUESTS: list[Request] = [
    ("POST", "/items", b'{"name": "item #"}', 201),
    ("GET", "/items?limit=100", b"", 200),
    ("POST", "/items", b'{"name": "\\u0000"}', 422),
    ("GET", "/items/0", b"", 422),
]


class Clients:
    """Concurrent HTTP clients. Each sends one request at a time on its own connection."""

    def __init__(self, url: str, requests: list[Request]) -> None:
        self._address = urlsplit(url).netloc
        self._requests = requests
        self._numbers = count()
        self.failed: list[str] = []

    def send(self, number: int) -> None:
        """Send a number of requests, distributed over as many clients as there are environments."""
        numbers = iter(list(islice(self._numbers, number)))
        with ThreadPoolExecutor(ENVIRONMENTS) as pool:
            for client in [pool.submit(self._run_client, numbers) for _ in range(ENVIRONMENTS)]:
                client.result()

    def _run_client(self, numbers: Iterator[int]) -> None:
        with closing(http.client.HTTPConnection(self._address, timeout=60)) as connection:
            for number in numbers:
                method, path, body, expected = self._requests[number % len(self._requests)]
                body = body.replace(b"#", b"%d" % number)
                connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
                response = connection.getresponse()
                response.read()
                if response.status != expected:
                    self.failed.append(f"{method} {path}: {response.status}")


class Usage(NamedTuple):
    """The number of invocations of an execution environment, and its resident memory."""

    invocations: int
    memory_kb: int


def measure_usage(aws: EmbeddedAws) -> dict[int, Usage]:
    """Return the usage of each execution environment by its process ID."""
    return {
        environment.pid: Usage(environment.invocations, resident_kb(environment.pid))
        for environment in aws.environments(NAME)
    }


def fewest_invocations(usage: dict[int, Usage]) -> int:
    return min(environment.invocations for environment in usage.values())


def total_invocations(usage: dict[int, Usage]) -> int:
    return sum(environment.invocations for environment in usage.values())


def warm_up(aws: EmbeddedAws, clients: Clients) -> dict[int, Usage]:
    """Send requests until all environments exist and each has handled WARM_UP requests. Return their usage."""
    while len(usage := measure_usage(aws)) < ENVIRONMENTS or fewest_invocations(usage) < WARM_UP:
        assert total_invocations(usage) < REQUESTS
        clients.send(ENVIRONMENTS * 10)
    return usage


@pytest.mark.parametrize(
    "answers", [COMBINATIONS[0], COMBINATIONS[-1]] if SOAK else COMBINATIONS[:1], ids=combination_name
)
def test_memory_does_not_grow(
    bake: Bake, tmp_path: Path, record_property: Callable[[str, object], None], answers: Answers
) -> None:
    project = disable_throttling(bake(**answers).copy(tmp_path))
    requests = REQUEST_MIX + ITEM_REQUESTS if answers["migrations"] == "alembic" else REQUEST_MIX
    with EmbeddedAws() as aws, database_for(project, aws):
        deployed = DeployTool(project, aws)("--image", push_image(project, aws))
        assert deployed.code == 0, deployed.err
        clients = Clients(deployed.url, requests)

        before = warm_up(aws, clients)
        clients.send(REQUESTS - total_invocations(before))
        after = measure_usage(aws)

    assert clients.failed == []
    assert before.keys() == after.keys()
    assert len(after) == ENVIRONMENTS
    growth_kb = [after[pid].memory_kb - before[pid].memory_kb for pid in before]
    trace_ids_kb = [(after[pid].invocations - before[pid].invocations) * TRACE_ID_BYTES // 1024 for pid in before]
    service_kb = [growth - trace_ids for growth, trace_ids in zip(growth_kb, trace_ids_kb, strict=True)]
    figures = (
        f"{REQUESTS:,} requests to {len(after)} environments, at least {fewest_invocations(after):,} to each; "
        f"memory of each grew by {min(growth_kb)} to {max(growth_kb)} kB, "
        f"without the trace IDs by {min(service_kb)} to {max(service_kb)} kB"
    )
    record_property("figures", f"soak test of {combination_name(answers)}: {figures}")
    assert statistics.median(service_kb) <= MAX_GROWTH_KB, figures
    assert max(service_kb) <= MAX_STEP_KB, figures
