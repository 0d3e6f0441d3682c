"""Test that environments restored from a snapshot share no state and read the secrets themselves."""

import json
import socket
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from embedded_aws import EmbeddedAws
from embedded_aws.containers.docker_aws import DockerAws, docker_aws
from embedded_aws.containers.docker_engine import engine_architecture
from scripts.deploy_tool import run_deploy_sh
from scripts.project_changes import SETTINGS_END, extend_aws_timeouts
from tests.support.bake import Bake
from tests.support.deploy_tool import push_image

PROBE = '''"""Return the state of the execution environment."""

import asyncio
import os
import random
from typing import Any

from fastapi import APIRouter, Request

from app.settings import get_settings

router = APIRouter()
SNAPSHOT = os.getpid()


@router.get("/state")
async def state(request: Request, gate: int) -> dict[str, Any]:
    reader, writer = await asyncio.open_connection("127.0.0.1", gate)
    await reader.read()  # until the test closes all connections, so that each request needs its own environment
    writer.close()
    return {
        "snapshot": SNAPSHOT,
        "pid": os.getpid(),
        "random": random.random(),
        "secret": get_settings().api_key.get_secret_value(),
        **request.state.connection,
    }


@router.get("/sync")
def sync() -> int:
    return os.getpid()


@router.get("/")
@router.get("/health")
async def health() -> dict[str, str]:
    return {"status": "healthy"}
'''
LIFESPAN = """
@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    with socket.create_server(("127.0.0.1", 0)) as connection:
        yield {"connection": {"port": connection.getsockname()[1], "connected_in": os.getpid()}}


app = FastAPI(
    lifespan=lifespan,
"""
ENVIRONMENTS = 3
TIMEOUT_S = 60


@pytest.fixture(params=["processes", "containers"])
def aws(request: pytest.FixtureRequest) -> Iterator[EmbeddedAws]:
    if request.param == "containers":
        request.getfixturevalue("engine")
    with docker_aws() if request.param == "containers" else EmbeddedAws() as aws:
        yield aws
        copies = [environment.pid for environment in aws.environments()]
    assert not any(Path(f"/proc/{pid}").exists() for pid in copies)


def test_restored_environments_share_no_state(bake: Bake, aws: EmbeddedAws, tmp_path: Path) -> None:
    architecture = {"architecture": engine_architecture()} if isinstance(aws, DockerAws) else {}
    project = extend_aws_timeouts(bake(cold_starts="snapstart", **architecture).copy(tmp_path))

    (project.path / "app/routers/health.py").write_text(PROBE, "utf-8")
    project.edit("app/settings.py", SETTINGS_END, f"{SETTINGS_END}    api_key: SecretStr\n")
    project.edit("app/settings.py", "from functools", "from pydantic import SecretStr\nfrom functools")
    imports = "import socket\nfrom contextlib import asynccontextmanager\nfrom typing import Any\n"
    imports += "from collections.abc import AsyncIterator\n"
    project.edit("app/main.py", "from fastapi", f"import os\n{imports}\nfrom fastapi")
    project.edit("app/main.py", "\napp = FastAPI(\n", LIFESPAN)
    project.edit("deploy.toml", "secrets = []", 'secrets = ["API_KEY"]')

    assert run_deploy_sh(project, aws, "secret", "set", "API_KEY", typed="first").code == 0
    image = [] if isinstance(aws, DockerAws) else ["--image", push_image(project, aws)]
    deployed = run_deploy_sh(project, aws, *image)
    assert deployed.code == 0, deployed.err
    assert "(restore: " in deployed.out
    assert run_deploy_sh(project, aws, "secret", "set", "API_KEY", typed="second").code == 0

    def get(path: str) -> object:
        with urllib.request.urlopen(deployed.url + path, timeout=TIMEOUT_S) as response:
            return json.load(response)

    with ThreadPoolExecutor(ENVIRONMENTS) as pool, socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(TIMEOUT_S)
        requests = [pool.submit(get, f"state?gate={server.getsockname()[1]}") for _ in range(ENVIRONMENTS)]
        with ExitStack() as connections:
            for _ in range(ENVIRONMENTS):
                connections.enter_context(server.accept()[0])
        responses = [response for request in requests if isinstance(response := request.result(), dict)]
        pids = set(pool.map(get, ["sync"] * ENVIRONMENTS))
    reads = [call for call in aws.calls if call.operation == "GetParameters"]
    environments = aws.environments("my-api-prod")

    values = {name: {response[name] for response in responses} for name in responses[0]}
    assert len(values["snapshot"]) == 1
    assert values["snapshot"].isdisjoint(values["pid"])
    assert [len(values[name]) for name in ("pid", "random", "port", "connected_in")] == [ENVIRONMENTS] * 4
    assert values["pid"] == values["connected_in"]
    assert pids <= {environment.pid for environment in environments}
    # Each restore reads the secrets: the environment of the deploy has the old value, later ones have the new one.
    assert values["secret"] == {"first", "second"}
    assert len(reads) == len(environments)
    records = [
        json.loads(message) for message in aws.log_messages("/aws/lambda/my-api-prod") if '"cold_start"' in message
    ]
    assert sum(record["cold_start"] for record in records) == len(environments)
