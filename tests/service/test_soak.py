"""Does the memory of the execution environments stay flat under load, and does no request fail?

SOAK says how many requests are sent: a sample by default, 20,000 over 8 environments by `make test-soak`.
"""

import http.client
import os
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
WARM_UP = 250 if SOAK else 50  # requests to each environment, before its memory is looked at
MAX_GROWTH_KB = 1024  # of one environment
TRACE_ID_BYTES = 112  # awslambdaric puts each invocation's into os.environ, and setenv of glibc never frees a value
FLOWER = b'{"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}'

Sent = tuple[str, str, bytes, int]  # method, path, body and the status that is right
MIX: list[Sent] = [
    ("GET", "/", b"", 200),
    ("GET", "/health", b"", 200),
    ("POST", "/predict", FLOWER, 200),
    ("POST", "/predict", b'{"sepal_length": NaN}', 422),
    ("POST", "/predict", b"[" * 2000, 400),
    ("POST", "/predict", b'"%s"' % (b"x" * 100_000), 422),
    ("GET", "/openapi.json", b"", 200),
    ("GET", "/nothing-here", b"", 404),
    ("DELETE", "/health", b"", 405),
    ("GET", "/health/", b"", 307),
]
ITEMS: list[Sent] = [
    ("POST", "/items", b'{"name": "item #"}', 201),
    ("GET", "/items?limit=100", b"", 200),
    ("POST", "/items", b'{"name": "\\u0000"}', 422),
    ("GET", "/items/0", b"", 422),
]


class Clients:
    """As many as there are to be environments, each sending one request after the other on its own connection."""

    def __init__(self, url: str, mix: list[Sent]) -> None:
        self._address = urlsplit(url).netloc
        self._mix = mix
        self._numbers = count()
        self.failed: list[str] = []

    def send(self, requests: int) -> None:
        """So many, by all of them together."""
        numbers = iter(list(islice(self._numbers, requests)))
        with ThreadPoolExecutor(ENVIRONMENTS) as pool:
            for client in [pool.submit(self._client, numbers) for _ in range(ENVIRONMENTS)]:
                client.result()

    def _client(self, numbers: Iterator[int]) -> None:
        with closing(http.client.HTTPConnection(self._address, timeout=60)) as connection:
            for number in numbers:
                method, path, body, right = self._mix[number % len(self._mix)]
                body = body.replace(b"#", b"%d" % number)
                connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
                answer = connection.getresponse()
                answer.read()
                if answer.status != right:
                    self.failed.append(f"{method} {path}: {answer.status}")


@pytest.mark.parametrize(
    "answers", [COMBINATIONS[0], COMBINATIONS[-1]] if SOAK else COMBINATIONS[:1], ids=combination_name
)
def test_memory_stays_flat(
    bake: Bake, tmp_path: Path, record_property: Callable[[str, object], None], answers: Answers
) -> None:
    project = disable_throttling(bake(**answers).copy(tmp_path))
    mix = MIX + ITEMS if answers["migrations"] == "alembic" else MIX
    with EmbeddedAws() as aws, database_for(project, aws):
        deployed = DeployTool(project, aws)("--image", push_image(project, aws))
        assert deployed.code == 0, deployed.err
        clients = Clients(deployed.url, mix)

        before = warmed_up(aws, clients)
        clients.send(REQUESTS - sum(one.requests for one in before.values()))
        after = measured(aws)

    growth_kb = [after[pid].memory_kb - before[pid].memory_kb for pid in before]
    own_kb = [
        kb - (after[pid].requests - before[pid].requests) * TRACE_ID_BYTES // 1024
        for pid, kb in zip(before, growth_kb, strict=True)
    ]
    figures = f"{REQUESTS:,} requests to {len(after)} environments, {len(clients.failed)} failed, "
    figures += f"{min(one.requests for one in after.values()):,} or more to each; memory grew by "
    figures += f"{min(growth_kb)} to {max(growth_kb)} kB each, {min(own_kb)} to {max(own_kb)} without kept trace ids"
    record_property("figures", f"soak of {combination_name(answers)}: {figures}")
    assert clients.failed == []
    assert before.keys() == after.keys()
    assert len(after) == ENVIRONMENTS
    assert max(own_kb) <= MAX_GROWTH_KB, figures


class Measured(NamedTuple):
    requests: int
    memory_kb: int


def warmed_up(aws: EmbeddedAws, clients: Clients) -> dict[int, Measured]:
    """All environments there are to be, when each has served enough requests."""
    while len(now := measured(aws)) < ENVIRONMENTS or min(one.requests for one in now.values()) < WARM_UP:
        assert sum(one.requests for one in now.values()) < REQUESTS
        clients.send(ENVIRONMENTS * 10)
    return now


def measured(aws: EmbeddedAws) -> dict[int, Measured]:
    """Each environment, by its process."""
    return {one.pid: Measured(one.invocations, resident_kb(one.pid)) for one in aws.environments(NAME)}
