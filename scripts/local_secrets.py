"""Find the values of a project's secrets on this machine: in the environment or in .env."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from dotenv import dotenv_values

from scripts.command_line import ScriptError, say


def find_secrets(project: Path, names: Sequence[str]) -> dict[str, str | None]:
    """Return the value of each secret, or None if it has to be entered. Print where it was found, but no value.

    The environment takes precedence over the file .env of the project. Raise ScriptError if a value is in neither, and
    standard input is not a terminal.
    """
    file = project / ".env"
    sources: dict[str, Mapping[str, str | None]] = {"the environment": os.environ, str(file): read_env_file(file)}
    values: dict[str, str | None] = {}
    for name in names:
        source = next((source for source, variables in sources.items() if variables.get(name)), None)
        problem = f"The secret {name} is neither in the environment nor in {file}"
        if not source and not sys.stdin.isatty():
            hint = f"Set the variable {name}, or write {name}=value to {file}."
            raise ScriptError(f"{problem}, and standard input is not a terminal.\n{hint}")
        say(f"The secret {name} is read from {source}." if source else f"{problem}. Enter it below.")
        values[name] = sources[source][name] if source else None
    return values


def read_env_file(file: Path) -> dict[str, str | None]:
    """Return the variables of the file, or none if it does not exist. Raise ScriptError if it cannot be read."""
    try:
        return dotenv_values(file)
    except (OSError, UnicodeDecodeError) as error:
        raise ScriptError(f"{file} cannot be read: {error}\nWrite it as UTF-8 text with lines NAME=value.") from error
