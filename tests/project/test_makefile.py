"""Test the targets of a generated project's Makefile that no other file tests."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from scripts.projects import COMBINATIONS, Answers, combination_name, project_environment
from tests.support.bake import Bake
from tests.support.fake_python import NEWEST, OLDEST, write_fake_python

START_TIMEOUT_S = 60


@pytest.mark.parametrize("answers", [COMBINATIONS[0], COMBINATIONS[-1]], ids=combination_name)
def test_make_help_lists_every_target(bake: Bake, answers: Answers) -> None:
    project = bake(**answers)
    output = project.run("make").stdout
    targets = re.findall(r"(?m)^\.PHONY: (.*)", (project.path / "Makefile").read_text("utf-8"))
    assert sorted(re.findall(r"(?m)^make (\w+) +\S", output)) == sorted(" ".join(targets).split())
    assert output == project.run("make help").stdout


def test_a_python_that_is_too_new_is_an_error(bake: Bake, tmp_path: Path) -> None:
    project = bake().copy(tmp_path / "project")
    shutil.rmtree(project.path / ".venv")
    write_fake_python(tmp_path / "python", NEWEST + 1)
    write_fake_python(tmp_path / f"bin/python3.{OLDEST}", OLDEST)  # the only other one on the PATH
    make = shutil.which("make")
    assert make
    command = [make, "test", f"PYTHON={tmp_path}/python"]
    result = project.run(command, env={"PATH": f"{tmp_path}/bin"}, check=False)
    assert result.stdout == ""
    assert result.stderr.splitlines()[0] == (
        f"Python 3.{NEWEST + 1} is newer than pyproject.toml allows (3.{OLDEST} to 3.{NEWEST}). "
        f"Select another one: make test PYTHON=python3.{OLDEST}"
    )
    assert not (project.path / ".venv").exists()


def test_make_lint_passes(bake: Bake) -> None:
    bake().run("make lint")


def test_make_run_serves_the_application(bake: Bake) -> None:
    project = bake()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    environment = project_environment(project.path) | {"PORT": str(port)}
    with (
        subprocess.Popen(
            ["make", "run"], cwd=project.path, env=environment, stderr=subprocess.DEVNULL, start_new_session=True
        ) as process,
    ):
        try:
            assert json.loads(read_when_started(f"http://127.0.0.1:{port}/")) == {"ok": True}
        finally:
            os.killpg(process.pid, signal.SIGTERM)


def read_when_started(url: str) -> bytes:
    """Return the body of a response. Wait up to 60 s until the server accepts connections."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            return read(url)
        time.sleep(0.05)
    return read(url)


def read(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=START_TIMEOUT_S) as response:
        return bytes(response.read())
