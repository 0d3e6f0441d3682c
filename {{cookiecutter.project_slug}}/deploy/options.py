"""Options that several commands have, and the stage that they select."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from deploy import config
from deploy.errors import UsageError
from deploy.stage import Stage

PROJECT = Path(__file__).resolve().parent.parent
DETAILED_EXITCODE = "--detailed-exitcode"
COMPLETION_VARIABLE = "_DEPLOY_SH_COMPLETE"  # the default name would contain a dot, which not every shell passes on


def _stage_names(incomplete: str) -> list[str]:
    """Return the stages in deploy.toml, for shell completion."""
    return [name for name in config.stage_names(PROJECT / "deploy.toml") if name.startswith(incomplete)]


StageOption = Annotated[
    str | None,
    typer.Option("--stage", help="Copy of the service: prod (default), dev, pr-12, ...", autocompletion=_stage_names),
]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show tracebacks and all output of the container engine.")]
ImageOption = Annotated[
    str | None, typer.Option("--image", metavar="URI", help="Deploy this image from ECR instead of building one.")
]
RebuildOption = Annotated[bool, typer.Option("--rebuild", help="Build a new image on the latest base image.")]


def open_stage(context: typer.Context) -> Stage:
    """Return the stage that --stage selects, before or after the command. Raise UsageError for a mistake in deploy.toml."""
    scopes: list[Any] = [context]  # typer does not declare the type of a parent
    while parent := scopes[-1].parent:
        scopes.append(parent)
    names = [
        scope.params["stage_name"] for scope in scopes if scope.params.get("stage_name") is not None
    ]  # an empty name is a mistake
    debug = any(scope.params.get("debug") for scope in scopes)
    stage = Stage(config.load(PROJECT / "deploy.toml", [*names, "prod"][0]), PROJECT, debug=debug)
    context.obj["stage"] = stage
    return stage


def explain_usage(error: typer.TyperException) -> UsageError:
    """Return a mistake in the arguments as an error of one line, with the help that explains them."""
    message = " ".join(error.format_message().split()).rstrip(".")
    message = message.replace("Value error, ", "").replace("Input should be", "must be")  # pydantic's words
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "./deploy.sh"
    return UsageError(message if message.endswith("?") else f"{message}.", f"See {command} --help")
