"""./deploy.sh migrate: run an Alembic command on the stage's database, in the migration function."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from deploy.options import DebugOption, StageOption, open_stage
from deploy.resources.migrations import run_migration
from deploy.stack import Stack

app = typer.Typer(name="migrate")

RELATIVE = {"ignore_unknown_options": True}  # such as -1, which is not an option


def _check_revision(revision: str) -> str:
    if re.match(r"-\D|-$", revision):
        raise typer.BadParameter(f"{revision!r} is not a revision.")
    return revision


RevisionArgument = Annotated[str, typer.Argument(callback=_check_revision, help="Such as head, base, +1 or -1.")]


@app.callback()
def migrate_group(stage_name: StageOption = None, debug: DebugOption = False) -> None:
    """Run an Alembic command on the stage's database."""


@app.command("upgrade", context_settings=RELATIVE)
def upgrade_command(
    context: typer.Context,
    revision: RevisionArgument = "head",
    stage_name: StageOption = None,
    debug: DebugOption = False,
) -> None:
    """Upgrade the database to a newer revision."""
    _run(context, "upgrade", revision)


@app.command("downgrade", context_settings=RELATIVE)
def downgrade_command(
    context: typer.Context, revision: RevisionArgument, stage_name: StageOption = None, debug: DebugOption = False
) -> None:
    """Downgrade the database to an older revision."""
    _run(context, "downgrade", revision)


@app.command("stamp", context_settings=RELATIVE)
def stamp_command(
    context: typer.Context, revision: RevisionArgument, stage_name: StageOption = None, debug: DebugOption = False
) -> None:
    """Record a revision without running migrations."""
    _run(context, "stamp", revision)


@app.command("current")
def current_command(context: typer.Context, stage_name: StageOption = None, debug: DebugOption = False) -> None:
    """Show the current revision of the database."""
    _run(context, "current")


@app.command("history")
def history_command(context: typer.Context, stage_name: StageOption = None, debug: DebugOption = False) -> None:
    """Show all revisions."""
    _run(context, "history")


def _run(context: typer.Context, command: str, revision: str = "") -> None:
    """Run an Alembic command and print its output. Raise DeployError with the last log lines if it fails."""
    stage = open_stage(context)
    result = run_migration(Stack(stage).migration_function, command, revision)
    print(result.output.rstrip() or f"{stage.name}: {result}")
