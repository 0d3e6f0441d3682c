"""./deploy.sh plan: show what a deploy would change."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from deploy.cost import DAYS, monthly_totals
from deploy.options import (
    DETAILED_EXITCODE,
    DebugOption,
    ImageOption,
    RebuildOption,
    StageOption,
    open_stage,
)
from deploy.plan import Change, make_plan
from deploy.stack import Stack
from deploy.state import is_equal

app = typer.Typer()

SIGNS = {"create": "+", "update": "~", "delete": "-"}
CHANGES_FOUND = 2  # the exit code with --detailed-exitcode


@app.command("plan")
def plan_command(
    context: typer.Context,
    image: ImageOption = None,
    rebuild: RebuildOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
    detailed_exitcode: Annotated[
        bool, typer.Option(DETAILED_EXITCODE, help="Exit with 2 if there are changes.")
    ] = False,
    stage_name: StageOption = None,
    debug: DebugOption = False,
) -> None:
    """Show what a deploy would change. Nothing is changed."""
    change_count = _show_plan(Stack(open_stage(context)), image, rebuild=rebuild, as_json=as_json)
    if change_count and detailed_exitcode:
        raise typer.Exit(CHANGES_FOUND)


def _show_plan(stack: Stack, image: str | None, *, rebuild: bool, as_json: bool) -> int:
    """Print the plan and return the number of changes."""
    plan = make_plan(stack, image, rebuild=rebuild)
    changes = [*plan.changes]
    if plan.live:
        for release_step in stack.release_steps:
            changes += release_step.planned_changes(plan.live.version)
    must_build = "image" not in plan.values
    change_count = must_build + len(changes) + plan.new_version
    before, after = (round(dollars, 2) for dollars in monthly_totals(stack, plan))
    if as_json:
        dollars = {"is": before, "should_be": after}
        data = {"new_version": plan.new_version, "changes": [_as_data(change) for change in changes]}
        print(json.dumps(data | {"dollars_a_month": dollars}, indent=2, default=str))
        return change_count
    print(stack.stage)
    if must_build:
        print(f"+ image {stack.stage.name}:{plan.image_tag}")
    for change in changes:
        print(f"{SIGNS[change.action]} {change.kind} {change.name}")
        for key, current, desired in _differing_values(change):
            print(f"    {key}: {'' if change.action == 'create' else f'{_text(current)} → '}{_text(desired)}")
    if plan.new_version:
        print(f"~ live version: {plan.live.version if plan.live else 'none'} → a new version")
    if before != after:
        print(f"Cost: ${before:.2f} → ${after:.2f} a month, with as many requests as in the last {DAYS} days")
    print(f"{change_count} {'change' if change_count == 1 else 'changes'}." if change_count else "Nothing to change.")
    return change_count


def _as_data(change: Change) -> dict[str, Any]:
    fields = {key: {"is": current, "should_be": desired} for key, current, desired in _differing_values(change)}
    return {"action": change.action, "kind": change.kind, "name": change.name, "fields": fields}


def _differing_values(change: Change) -> Iterator[tuple[str, Any, Any]]:
    """Yield key, current value and desired value of each property that differs, down to the keys of dictionaries."""
    for key, (current, desired) in change.fields.items():
        if isinstance(desired, dict):  # AWS may return additional keys, which are not compared
            known = {part: current.get(part) for part in desired} if isinstance(current, dict) else {}
            for part, value in desired.items():
                yield from _compare(f"{key}.{part}", known.get(part), value)
        else:
            yield from _compare(key, current, desired)


def _compare(key: str, current: Any, desired: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(current, dict) and isinstance(desired, dict):
        for part in {**current, **desired}:
            yield from _compare(f"{key}.{part}", current.get(part), desired.get(part))
    elif not is_equal(current, desired):
        yield key, current, desired


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str).strip('"')
