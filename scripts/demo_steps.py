"""The commands that the demo prints and runs: ./deploy.sh of a project, and curl of its URL."""

import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from embedded_aws import EmbeddedAws
from scripts.cached_venv import cached_venv
from scripts.command_line import ScriptError, say
from scripts.database import postgres
from scripts.local_secrets import find_secrets

DATABASE_URL = "DATABASE_URL"
END_TIMEOUT_S = 10


def deploy(project: Path, aws: EmbeddedAws, arguments: Sequence[str], *, typed: str | None = "") -> None:
    """Run ./deploy.sh with `typed`, or with the terminal, as its standard input. Raise ScriptError if it fails."""
    say()
    pipe = f'printf %s "${arguments[-1]}" | ' if typed else ""
    say(f"$ cd {project.name} && {pipe}{shlex.join(['./deploy.sh', *arguments])}")
    with (
        cached_venv(project),
        tempfile.TemporaryDirectory(prefix="demo-") as temporary,  # processes that are ended leave files in it
        subprocess.Popen(
            ["./deploy.sh", *arguments],
            cwd=project,
            env=environment(aws) | {"TMPDIR": temporary},
            stdin=None if typed is None else subprocess.PIPE,
            text=True,
            start_new_session=typed is not None,  # only a process of this session can read from the terminal
        ) as process,
    ):
        try:
            process.communicate(typed)
        except KeyboardInterrupt:
            if typed is not None:  # otherwise the terminal has interrupted it, too
                end_group(process)
            raise
    if process.returncode:
        raise ScriptError(f"./deploy.sh exited with code {process.returncode}. Its output above describes the error.")


def end_group(leader: subprocess.Popen[str]) -> None:
    """End all processes of a group, such as ./deploy.sh and its pip, and wait until they have ended."""
    deadline = time.monotonic() + END_TIMEOUT_S
    with suppress(ProcessLookupError):  # none of them exists any more
        os.killpg(leader.pid, signal.SIGTERM)
        while time.monotonic() < deadline:
            leader.poll()
            os.killpg(leader.pid, 0)
            time.sleep(0.05)
        os.killpg(leader.pid, signal.SIGKILL)


def deployed_url(project: Path, aws: EmbeddedAws) -> str:
    """Return the public URL, which ends in a slash. Raise ScriptError if there is none."""
    command = ["./deploy.sh", "status", "--url"]
    status = subprocess.run(command, cwd=project, env=environment(aws), capture_output=True, text=True, check=False)
    if status.returncode:
        raise ScriptError(f"./deploy.sh status printed no URL: {status.stdout}{status.stderr}")
    return status.stdout.strip()


def curl(url: str, item: dict[str, object] | None = None) -> None:
    """Print the response to a GET request, or to a POST request with an item. Like curl, accept any status."""
    body = json.dumps(item) if item else None
    say()
    say(f"$ curl -s {url}" + (f" --json {shlex.quote(body)}" if body else ""))
    headers = {"Content-Type": "application/json"} if body else {}
    request = urllib.request.Request(url, body.encode() if body else None, headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=30) as response:
            say(response.read().decode(errors="replace"))
    except urllib.error.HTTPError as error:
        say(f"{error.read().decode(errors='replace')}  (status {error.code})")
    except OSError as error:
        raise ScriptError(f"the request to {url} failed: {error}") from error


def has_database(project: Path) -> bool:
    """Return True if the service of the project needs a database."""
    return (project / "alembic.ini").exists() and DATABASE_URL in read_settings(project).get("secrets", [])


@contextmanager
def secrets_of(project: Path, aws: EmbeddedAws) -> Iterator[None]:
    """Set the secrets that the service needs. Start a database if DATABASE_URL is one, and stop it afterwards."""
    with_database = has_database(project)
    names = [name for name in read_settings(project).get("secrets", []) if not (with_database and name == DATABASE_URL)]
    values = find_secrets(project, names)
    with ExitStack() as stack:
        if with_database:
            values[DATABASE_URL] = url = stack.enter_context(postgres())
            say()
            say("A real PostgreSQL runs on this machine until the demo ends. Its URL is a secret of the service:")
            say(f"$ {DATABASE_URL}={shlex.quote(url)}")
        for name, value in values.items():
            deploy(project, aws, ["secret", "set", name], typed=value)
        yield


def read_settings(project: Path) -> dict[str, Any]:
    """Return the settings of deploy.toml for the stage prod. Raise ScriptError if the file is not valid TOML."""
    try:
        settings = tomllib.loads((project / "deploy.toml").read_text("utf-8-sig"))
    except ValueError as error:
        raise ScriptError(
            f"{project / 'deploy.toml'} is not valid: {error}\nCorrect it, and run this again."
        ) from error
    stages = settings.get("stages")
    prod = stages.get("prod") if isinstance(stages, dict) else None
    return {**settings, **(prod if isinstance(prod, dict) else {})}


def environment(aws: EmbeddedAws) -> dict[str, str]:
    """Return the environment variables for ./deploy.sh.

    They are those of this machine, with the settings of the embedded AWS and with this Python first in PATH.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "VIRTUAL_ENV"))}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {**kept, **aws.environ, "PATH": path}
