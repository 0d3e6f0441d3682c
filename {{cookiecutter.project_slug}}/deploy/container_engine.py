"""The container engine that builds and pushes images: Docker, Podman or Finch."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.errors import DeployError
from deploy.stage import Stage

ENGINES = ("docker", "podman", "finch")  # in the order of preference
# Attestations are disabled with a variable because older builders do not support --provenance and --sbom.
SETTINGS = {"DOCKER_BUILDKIT": "1", "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}


@dataclass(frozen=True)
class ContainerEngine:
    """An engine with the command line of Docker.

    `command` runs it, and `name` is the engine behind that command: the command docker may start Podman.
    """

    command: str
    name: str
    debug: bool = False

    def run(self, *args: str, show: bool = False, environment: dict[str, str] | None = None) -> str:
        """Run a command of the engine and return its output. Raise DeployError with its last lines if it fails.

        With `show`, print the output instead, if the user asked for it with --debug.
        """
        result = subprocess.run(
            [self.command, *args],
            env=os.environ | SETTINGS | (environment or {}),
            capture_output=not (show and self.debug),
            encoding="utf-8",
            errors="replace",
        )
        if result.returncode:
            output = f"{result.stdout or ''}{result.stderr or ''}".strip()
            hint = f"Fix the error that {self.name} reports above. --debug shows its complete output."
            if "toomanyrequests" in output:  # aws/aws-lambda-web-adapter#595
                sign_in = f"{self.command} login --username AWS --password-stdin public.ecr.aws"
                hint = f"Sign in to ECR Public: aws ecr-public get-login-password --region us-east-1 | {sign_in}"
            details = "\n".join(output.splitlines()[-20:])
            raise DeployError(f"{self.name} {args[0]} failed.", hint, details=details)
        return result.stdout or ""


def find_engine(stage: Stage) -> ContainerEngine:
    """Return the engine in deploy.toml or, without that setting, the first one that is installed and works."""
    installed = [name for name in ENGINES if shutil.which(name)]
    command: str | None = stage.config.container_engine
    if command and command not in installed:
        raise DeployError(
            f"{command} is not installed. It is the container_engine in deploy.toml.",
            "Install it, or remove container_engine from deploy.toml to use another engine.",
        )
    if not installed:
        raise DeployError(
            "No container engine is installed. It is needed to build the image.",
            "Install Docker (docs.docker.com/get-docker), Podman or Finch, or deploy an existing image with --image.",
        )
    if not command:
        working = (name for name in installed if len(installed) == 1 or _output(name, "info") is not None)
        command = next(working, installed[0])
    # The command docker may be a link to Podman, or the script of the package podman-docker.
    program = Path(shutil.which(command) or command).resolve().name
    is_podman = "podman" in f"{program} {_output(command, '--version')}"
    return ContainerEngine(command, "podman" if is_podman else command, stage.debug)


def _output(*command: str) -> str | None:
    """Return the output of a command, or None if it fails."""
    result = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace")
    return None if result.returncode else result.stdout


@contextmanager
def signed_in(registry: str, token: str) -> Iterator[dict[str, str]]:
    """Yield variables that sign an engine in to a registry, with a temporary folder for its configuration.

    `token` is "user:password" in base64. The user's own configuration does not change. The temporary one links to the
    contexts and plugins of the user's Docker.
    """
    user_folder = Path(os.environ.get("DOCKER_CONFIG") or Path("~/.docker").expanduser())
    config = _read_docker_config(user_folder / "config.json")
    for key in ("auths", "credsStore", "credHelpers"):
        config.pop(key, None)
    config["auths"] = {registry: {"auth": token}}
    with tempfile.TemporaryDirectory(prefix="docker-config-") as folder:
        for name in ("contexts", "cli-plugins"):
            if (user_folder / name).exists():
                try:
                    Path(folder, name).symlink_to(user_folder / name)
                except OSError:  # on Windows, only administrators and developers may create links
                    shutil.copytree(user_folder / name, Path(folder, name))
        file = Path(folder, "config.json")
        file.touch(mode=0o600)
        file.write_text(json.dumps(config), encoding="utf-8")
        yield {"DOCKER_CONFIG": folder, "REGISTRY_AUTH_FILE": str(file)}  # Podman reads the second one


def _read_docker_config(file: Path) -> dict[str, Any]:
    """Return the content of Docker's configuration file. Like Docker, accept one that is empty."""
    try:
        text = file.read_text(encoding="utf-8-sig")
        return dict(json.loads(text)) if text.strip() else {}
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError) as error:
        raise DeployError(
            f"{file} is not valid JSON: {error}.", "Correct the file, or delete it and sign in again."
        ) from None
