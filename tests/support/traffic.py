"""Clients that call a service while it is deployed, and a service whose answers tell what they came from."""

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

PAUSE_S = 0.1  # below what an HTTP API lets through
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
    release: int
    environment: str
    took_s: float


def push_release(project: Project, aws: EmbeddedAws, number: int) -> str:
    """The image of a service whose answer tells its release and its execution environment."""
    (project.path / "app/routers/health.py").write_text(ROUTES.replace("NUMBER", str(number)), encoding="utf-8")
    return push_image(project, aws)


@contextmanager
def send_traffic(url: str, clients: int) -> Iterator[list[list[Response]]]:
    """What each client was answered, in order, the last time after the block. Raises for any failed request."""
    answers: list[list[Response]] = [[] for _ in range(clients)]
    done = threading.Event()

    def client(seen: list[Response]) -> None:
        last = False
        while not last:
            last = done.is_set()
            begun = time.monotonic()
            with urllib.request.urlopen(url, timeout=30) as answer:
                seen.append(Response(**json.load(answer), took_s=time.monotonic() - begun))
            time.sleep(PAUSE_S)

    with ThreadPoolExecutor(clients) as pool:
        running = [pool.submit(client, seen) for seen in answers]
        try:
            yield answers
        finally:
            done.set()
        for one in running:
            one.result()
