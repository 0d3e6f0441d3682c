"""./deploy.sh destroy: delete all resources of a stage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from deploy.errors import DeployError, UsageError
from deploy.options import DebugOption, StageOption, open_stage
from deploy.plan import read_recorded
from deploy.resource import Resource
from deploy.stack import Stack

app = typer.Typer()


@app.command("destroy")
def destroy_command(
    context: typer.Context,
    purge: Annotated[bool, typer.Option("--purge", help="Also delete for good what could be restored.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    stage_name: StageOption = None,
    debug: DebugOption = False,
) -> None:
    """Delete all resources of a stage.

    The command lists them and asks for confirmation. Afterwards it verifies that they are gone.
    """
    stage = open_stage(context)
    print(stage)
    stack = Stack(stage)
    resources = [*stack.resources_to_destroy()]
    existing = _existing(stack, resources, purge=purge)
    if existing:
        print("This permanently deletes:")
    else:
        print("Nothing to delete.")
    for resource in existing:
        note = f" ({resource.recovery_note})" if resource.recovery_note and not purge else ""
        print(f"  {resource.kind:23} {resource.name}{note}")
    if existing and not yes:
        _confirm(stage.name)
    for resource in reversed(existing):
        if purge:
            resource.purge()
        else:
            resource.delete()
        print(f"deleted {resource.kind} {resource.name}")
    remaining = _existing(stack, resources, purge=purge) if existing else []
    for resource in resources:
        if until := resource.recoverable_until():
            print(f"{resource.name} {resource.recovery_note} (until {until:%Y-%m-%d}).")
            print(f"To delete it for good: {stage.command} destroy --purge")
    print(f"{len(remaining)} left")
    if remaining:
        raise DeployError("Some resources still exist.", "Run ./deploy.sh destroy again.")


def _existing(stack: Stack, resources: Sequence[Resource], *, purge: bool) -> list[Resource]:
    """Return the resources that exist. With `purge`, include deleted ones that could be restored."""
    states = read_recorded(stack, [resource for resource in resources if not resource.record or resource.is_used()])
    return [
        resource for resource in resources if states.get(resource) is not None or (purge and resource.can_be_purged())
    ]


def _confirm(name: str) -> None:
    try:
        typed = input(f"Type {name} to continue: ")
    except EOFError:
        typed = ""
        print()
    if typed.strip() != name:
        raise UsageError("Nothing was deleted.", f"To delete these resources, type {name} when asked.")
