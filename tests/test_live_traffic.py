"""Does a deploy under traffic go unnoticed: no failed request, and never the old answer after the new one?"""

import json
import threading
import urllib.request
from collections import defaultdict
from pathlib import Path
from typing import Any

from tests.baking import Project
from tests.conftest import Bake
from tests.deploying import deploy_sh, push
from tests.embedded_aws import EmbeddedAws

REQUESTS = 200
THREADS = 8
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


def test_no_request_fails_and_the_answer_changes_once(bake: Bake, tmp_path: Path) -> None:
    project = bake().copy(tmp_path)
    with EmbeddedAws() as aws:
        url = deploy_sh(project, aws, "--image", release(project, aws, 1)).url
        answers: list[list[dict[str, Any]]] = [[] for _ in range(THREADS)]
        deployed = threading.Event()

        def client(seen: list[dict[str, Any]]) -> None:
            while len(seen) < REQUESTS // THREADS or not deployed.is_set():
                with urllib.request.urlopen(url, timeout=30) as answer:  # raises on anything but success
                    seen.append(json.load(answer))
            with urllib.request.urlopen(url, timeout=30) as answer:
                seen.append(json.load(answer))

        threads = [threading.Thread(target=client, args=(seen,)) for seen in answers]
        for thread in threads:
            thread.start()
        second = deploy_sh(project, aws, "--image", release(project, aws, 2))
        deployed.set()
        for thread in threads:
            thread.join()

    assert second.code == 0, second.err
    releases_of = defaultdict(set)
    for seen in answers:
        order = [answer["release"] for answer in seen]
        assert len(order) > REQUESTS // THREADS  # a thread that met a failed request ended early
        assert order == sorted(order)
        assert set(order) == {1, 2}
        for answer in seen:
            releases_of[answer["environment"]].add(answer["release"])
    assert all(len(releases) == 1 for releases in releases_of.values())
    assert len(releases_of) > 2, "eight clients at once need more than one environment for each release"


def release(project: Project, aws: EmbeddedAws, number: int) -> str:
    """The image of a service whose answer tells its release and its execution environment."""
    (project.path / "app/routers/health.py").write_text(ROUTES.replace("NUMBER", str(number)), encoding="utf-8")
    return push(project, aws)
