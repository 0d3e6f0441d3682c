"""Replace the container engine of the deploy tool."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from embedded_aws import DOCKER_MANIFEST, EmbeddedAws
from tests.support.deployed_stage import task_root

DOCKER = """#!/bin/sh
case "$1 $2" in
    "image inspect") {inspect} ;;
esac
"""
INSPECT = """echo '[{"Architecture": "arm64"}]'"""


def install_docker(folder: Path, monkeypatch: pytest.MonkeyPatch, *, inspect: str = INSPECT) -> None:
    """Put a docker command into the folder and at the beginning of PATH. All its commands succeed.

    `inspect` is what it does to describe an image, a command of the shell.
    """
    docker = folder / "docker"
    docker.write_text(DOCKER.format(inspect=inspect), encoding="utf-8")
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)


class FakeDocker:
    """Records the commands of docker. An image that is pushed responds to every request with its tag."""

    name = "docker"
    media_type = DOCKER_MANIFEST  # of the images that are pushed

    def __init__(self, aws: EmbeddedAws, folder: Path) -> None:
        self.commands: list[list[str]] = []
        self._aws = aws
        self._folder = folder

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let the deploy tool use it instead of the engine of this machine."""
        monkeypatch.setattr("deploy.image.find_engine", lambda stage: self)

    def run(self, *args: str, **_: Any) -> str:
        """Run docker with these arguments."""
        self.commands.append([*args])
        if args[0] == "push":
            repository, tag = args[1].partition("/")[2].split(":")
            self._aws.docker_push(repository, task_root(self._folder, tag), tag, self.media_type)
        if args[:2] == ("image", "inspect"):
            return json.dumps([{"Architecture": "arm64"}])
        return ""

    def builds(self) -> list[list[str]]:
        """Return the commands that build an image."""
        return [args for args in self.commands if args[0] == "build"]
