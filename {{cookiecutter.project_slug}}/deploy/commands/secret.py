"""./deploy.sh secret: set, list or remove the service's secrets."""

from __future__ import annotations

import getpass
import re
import select
import sys
from typing import Annotated

import typer

from deploy.config import RESERVED_VARIABLES, UPPER_CASE_DESCRIPTION, UPPER_CASE_NAME
from deploy.errors import DeployError, UsageError
from deploy.options import DebugOption, StageOption, open_stage
from deploy.release import read_live
from deploy.stack import Stack

app = typer.Typer(name="secret")

# Terminals cut off longer lines: at 1,024 characters on macOS and 4,096 on Linux.
LONGEST_LINE = 1_022

NameArgument = Annotated[str, typer.Argument(help="Name of the secret, such as API_KEY.")]


@app.callback()
def secret_group(stage_name: StageOption = None, debug: DebugOption = False) -> None:
    """Set, list or remove the service's secrets. Their values are never shown."""


@app.command("set")
def set_command(
    context: typer.Context, name: NameArgument, stage_name: StageOption = None, debug: DebugOption = False
) -> None:
    """Read a value from standard input or a hidden prompt, and store it."""
    stage = open_stage(context)
    if not re.fullmatch(UPPER_CASE_NAME, name):
        raise UsageError(f"{name!r} is not a valid secret name.", f"Use {UPPER_CASE_DESCRIPTION}.")
    if name in RESERVED_VARIABLES:
        raise UsageError(f"The name {name} is reserved for Lambda or the deploy tool.", "Choose another name.")
    value, stack = _read_value(name), Stack(stage)
    for component in stack.components:
        component.check_secret(name, value)
    version = stack.secrets.set_value(name, value)
    print(f"{name} is set for stage {stage.config.stage} (version {version}).")
    if name in stage.config.secrets:
        print(f"Running environments keep the old value until the next {stage.command}; new ones read the new value.")
    else:
        print(f'Next, add "{name}" to secrets in deploy.toml and {name.lower()} to your settings, and deploy.')


def _read_value(name: str) -> str:
    not_text = UsageError(f"The value of {name} is not text.", "Encode it first, for example with base64.")
    try:
        value = _read_input(name)
        value.encode()  # raises UnicodeError if Python has replaced bytes that are not UTF-8
    except EOFError:
        value = ""
    except UnicodeError:
        raise not_text from None
    if "\0" in value:  # environment variables cannot contain it
        raise not_text
    if not value:
        raise UsageError(f"The value of {name} is empty.", "Enter it at the prompt, or pass it on standard input.")
    return value


def _read_input(name: str) -> str:
    """Return what is typed at the prompt, or else the whole standard input."""
    if not sys.stdin:  # it is closed
        return ""
    return _ask_for_value(name) if sys.stdin.isatty() else sys.stdin.read().removesuffix("\n")


def _ask_for_value(name: str) -> str:
    """Ask for a value of one line. Raise UsageError for a longer one, of which the terminal would drop a part."""
    value, has_more_lines = _read_hidden_line(f"Value of {name}: ")
    if has_more_lines or len(value.encode()) > LONGEST_LINE:
        problem = "has several lines" if has_more_lines else f"is longer than {LONGEST_LINE:,} characters"
        raise UsageError(
            f"The value of {name} {problem}, which cannot be entered at a prompt. It was not stored.",
            f"Read it from a file: ./deploy.sh secret set {name} < FILE",
        )
    return value


def _read_hidden_line(prompt: str) -> tuple[str, bool]:
    """Return a line that was typed without being shown, and True if more lines were pasted.

    They are discarded, so that the shell does not run them. getpass.getpass would not report them.
    """
    try:
        import termios
    except ImportError:  # on Windows
        return getpass.getpass(prompt), False
    shown = termios.tcgetattr(sys.stdin)
    hidden = [*shown]
    hidden[3] &= ~termios.ECHO
    try:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, hidden)
        print(prompt, end="", flush=True)
        line = sys.stdin.readline().removesuffix("\n")
        return line, bool(select.select([sys.stdin], [], [], 0.1)[0])
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSAFLUSH, shown)
        print()


@app.command("list")
def list_command(context: typer.Context, stage_name: StageOption = None, debug: DebugOption = False) -> None:
    """Print names, versions and dates, but not the values."""
    stage = open_stage(context)
    existing = {secret.name: secret for secret in Stack(stage).secrets.list_secrets()}
    for secret in existing.values():
        note = "" if secret.name in stage.config.secrets else "  (not in deploy.toml)"
        print(f"{secret.name:24} version {secret.version:<4} set {secret.changed:%Y-%m-%d %H:%M}{note}")
    missing = [name for name in stage.config.secrets if name not in existing]
    for name in missing:
        print(f"{name:24} has no value: {stage.command} secret set {name}")
    if not existing and not missing:
        print(f"No secrets in stage {stage.config.stage}.")


@app.command("remove")
def remove_command(
    context: typer.Context, name: NameArgument, stage_name: StageOption = None, debug: DebugOption = False
) -> None:
    """Delete a secret that is not in use."""
    stage = open_stage(context)
    stack = Stack(stage)
    live = read_live(stack.function)
    variables = live.settings.get("Environment", {}).get("Variables", {}) if live else {}
    if name in [*stage.config.secrets, *variables.get("SECRET_NAMES", "").split(",")]:
        raise DeployError(
            f"{name} is in use: the service reads it at every cold start.",
            "Remove it from secrets in deploy.toml and deploy. Then run this command again.",
        )
    if not stack.secrets.remove(name):
        message = f"The secret {name} does not exist in stage {stage.config.stage}."
        raise DeployError(message, "See ./deploy.sh secret list")
    print(f"{name} was removed from stage {stage.config.stage}.")
