"""Send requests while a service is deployed. Its responses name the release and the execution environment."""

import json
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple

from embedded_aws import EmbeddedAws
from scripts.projects import Project
from tests.support.deploy_tool import push_image

PAUSE_S = 0.1  # between two requests of a client; keeps them below the limit of an HTTP API
ROUTES = """
from uuid import uuid4

from fastapi import APIRouter

router = APIRouter()
ENVIRONMENT = str(uuid4())


@router.get("/")
async def root() -> dict[str, int | str]:
    return {"release": NUMBER, "environment": ENVIRONMENT}


@router.get("/health")
async def health() -> dict[str, str]:
    return {"status": "healthy"}
"""


class Response(NamedTuple):
    """The response that a client received, and how long it waited."""

    release: int
    environment: str
    duration_s: float


def push_release(project: Project, aws: EmbeddedAws, number: int) -> str:
    """Push an image whose responses contain this release number, and return its URI."""
    (project.path / "app/routers/health.py").write_text(ROUTES.replace("NUMBER", str(number)), encoding="utf-8")
    return push_image(project, aws)


@contextmanager
def send_traffic(url: str, clients: int) -> Iterator[list[list[Response]]]:
    """Send requests from several clients at the same time during the block, and once more after it.

    Yield a list that receives the responses of each client in order. Raise the error of any request that fails.
    """
    responses: list[list[Response]] = [[] for _ in range(clients)]
    stop = threading.Event()

    def send_requests(received: list[Response]) -> None:
        is_last = False
        while not is_last:
            is_last = stop.is_set()
            received.append(_send_request(url))
            time.sleep(PAUSE_S)

    with ThreadPoolExecutor(clients) as pool:
        futures = [pool.submit(send_requests, received) for received in responses]
        try:
            yield responses
        finally:
            stop.set()
        for future in futures:
            future.result()


def _send_request(url: str) -> Response:
    started = time.monotonic()
    with urllib.request.urlopen(url, timeout=30) as response:
        return Response(**json.load(response), duration_s=time.monotonic() - started)
