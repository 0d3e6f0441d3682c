"""Replace the docker command of the deploy tool."""

import json
from pathlib import Path
from typing import Any

from embedded_aws import EmbeddedAws
from tests.support.deployed_stage import task_root


class FakeDocker:
    """Records the commands of docker. An image that is pushed responds to every request with its tag.

    Replace `deploy.image.run_docker` by it.
    """

    def __init__(self, aws: EmbeddedAws, folder: Path) -> None:
        self.commands: list[list[str]] = []
        self._aws = aws
        self._folder = folder

    def __call__(self, args: list[str], *_: Any) -> str:
        """Run docker with these arguments."""
        self.commands.append(args)
        if args[0] == "push":
            repository, tag = args[1].partition("/")[2].split(":")
            self._aws.docker_push(repository, task_root(self._folder, tag), tag)
        if args[:2] == ["image", "inspect"]:
            return json.dumps([{"Architecture": "arm64"}])
        return ""

    def builds(self) -> list[list[str]]:
        """Return the commands that build an image."""
        return [args for args in self.commands if args[0] == "build"]
