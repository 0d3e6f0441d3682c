"""The commands that the demo prints and runs: ./deploy.sh of a project, and curl of its URL."""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from embedded_aws import EmbeddedAws
from scripts.cached_venv import cached_venv
from scripts.command_line import ScriptError, say
from scripts.database import postgres


def deploy(project: Path, aws: EmbeddedAws, arguments: Sequence[str], *, typed: str = "") -> None:
    """Run ./deploy.sh with `typed` as its standard input. Raise ScriptError if it fails."""
    say()
    pipe = f'printf %s "${arguments[-1]}" | ' if typed else ""
    say(f"$ cd {project.name} && {pipe}{shlex.join(['./deploy.sh', *arguments])}")
    command = ["./deploy.sh", *arguments]
    with cached_venv(project):
        result = subprocess.run(command, cwd=project, env=environment(aws), input=typed, text=True, check=False)
    if result.returncode:
        raise ScriptError(f"./deploy.sh exited with code {result.returncode}. Its output above describes the error.")


def deployed_url(project: Path, aws: EmbeddedAws) -> str:
    """Return the URL that ./deploy.sh status prints."""
    command = ["./deploy.sh", "status"]
    status = subprocess.run(command, cwd=project, env=environment(aws), capture_output=True, text=True, check=False)
    url = re.search(r"https?://\S+/", status.stdout)
    if status.returncode or not url:
        raise ScriptError(f"./deploy.sh status printed no URL: {status.stdout}{status.stderr}")
    return url[0]


def curl(url: str, item: dict[str, object] | None = None) -> None:
    """Print the response to a GET request, or to a POST request with an item."""
    body = json.dumps(item) if item else None
    say()
    say(f"$ curl -s {url}" + (f" --json {shlex.quote(body)}" if body else ""))
    headers = {"Content-Type": "application/json"} if body else {}
    request = urllib.request.Request(url, body.encode() if body else None, headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=30) as response:
            say(response.read().decode())
    except OSError as error:
        raise ScriptError(f"the request to {url} failed: {error}") from error


def has_database(project: Path) -> bool:
    """Return True if the service of the project needs a database."""
    return (project / "alembic.ini").exists()


@contextmanager
def database_of(project: Path, aws: EmbeddedAws) -> Iterator[None]:
    """Start a database and set the secret DATABASE_URL, if the service needs one. Stop the database afterwards."""
    if not has_database(project):
        yield
        return
    with postgres() as url:
        say()
        say("A real PostgreSQL runs on this machine until the demo ends. Its URL is a secret of the service:")
        say(f"$ DATABASE_URL={shlex.quote(url)}")
        deploy(project, aws, ["secret", "set", "DATABASE_URL"], typed=url)
        yield


def read_setting(project: Path, name: str) -> Any:
    """Return a setting of deploy.toml."""
    with open(project / "deploy.toml", "rb") as file:
        return tomllib.load(file)[name]


def environment(aws: EmbeddedAws) -> dict[str, str]:
    """Return the environment variables for ./deploy.sh.

    They are those of this machine, with the settings of the embedded AWS and with this Python first in PATH.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "VIRTUAL_ENV"))}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {**kept, **aws.environ, "PATH": path}
