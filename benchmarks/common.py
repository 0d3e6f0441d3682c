"""The cache folder, and functions to run commands and to print progress."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from embedded_aws.containers.layers import Layers
from scripts.projects import TEMPLATE

CACHE = TEMPLATE / ".cache"


class CommandError(Exception):
    """A command failed."""


def layers() -> Layers:
    """Return the cache of the benchmark's folders: versions of Python, and subjects with their packages."""
    return Layers(CACHE / "benchmark", lambda line: None)


def run(command: Sequence[str | Path]) -> str:
    """Run a command without the variables that configure Python, and return its output.

    Raise CommandError if it cannot be run, or if it fails.
    """
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    name = " ".join(map(str, command))
    try:
        process = subprocess.run(
            command, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise CommandError(f"{name} could not be run: {error}") from error
    if process.returncode:
        raise CommandError(f"{name} failed with exit code {process.returncode}:\n{process.stderr.strip()[-2000:]}")
    return process.stdout


def say(line: str) -> None:
    """Print a progress message to stderr."""
    print(line, file=sys.stderr, flush=True)
