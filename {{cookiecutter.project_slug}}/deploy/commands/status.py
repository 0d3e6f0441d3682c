"""./deploy.sh status: show the live version and the state of the service."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Annotated

import typer

from deploy.logs import read_logs
from deploy.options import DebugOption, StageOption, open_stage
from deploy.release import Live, describe, require_live
from deploy.resource import Outputs, Phase
from deploy.stack import Stack
from deploy.stage import Stage

app = typer.Typer()

ERRORS_SHOWN = 5
DAY_S = 24 * 3600


@app.command("status")
def status_command(
    context: typer.Context,
    url: Annotated[bool, typer.Option("--url", help="Print only the public URL.")] = False,
    stage_name: StageOption = None,
    debug: DebugOption = False,
) -> None:
    """Show the live version, its URL, alarms and recent errors."""
    stack = Stack(open_stage(context))
    live = require_live(stack.function)
    if url:
        print(stack.public_url(_endpoint_outputs(stack)))
        return
    print(stack.stage)
    for label, text in _rows(stack, live):
        print(f"{label:10} {text}")
    errors = _recent_errors(stack.stage)
    see_all = f" (see all with {stack.stage.command} logs --errors --hours 24)" if errors else ""
    print(f"{'errors':10} {len(errors) or 'none'} in the last 24 hours{see_all}")
    for lines in errors[-ERRORS_SHOWN:]:
        print(f"  {lines[0]}" + (f": {lines[-1].strip()}" if len(lines) > 1 else ""))


def _rows(stack: Stack, live: Live) -> Iterator[tuple[str, str]]:
    """Yield label and text of each row that a release or a component knows."""
    yield "live", describe(live.settings)
    for version, weight in live.weights.items():
        share = f"{weight * 100:.0f}% of the requests"
        yield "split", f"version {version} gets {share}: run {stack.stage.command} to end this"
    yield "previous", f"version {live.previous}" if live.previous else "not recorded, for example after a rollback"
    for component in stack.components:
        yield from component.status(live)


def _endpoint_outputs(stack: Stack) -> Outputs:
    """Return what determines the public URL."""
    outputs: dict[str, str] = {}
    for resource in (stack.endpoint, *stack.in_phase(Phase.AFTER_CHECK)):
        outputs.update(resource.outputs(resource.read()))
    return outputs


def _recent_errors(stage: Stage) -> list[list[str]]:
    """Return the lines of each error in the last 24 hours, without a link to the documentation of an exception."""
    errors = (line.text for _, line in read_logs(stage, time.time() - DAY_S, errors_only=True))
    return [re.sub(r"\n\s*\(Background on this error at: .*\)", "", text).splitlines() for text in errors]
