"""./deploy.sh logs: print the service's log as readable lines."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from botocore.exceptions import ClientError

from deploy.errors import DeployError, error_code
from deploy.logs import read_logs
from deploy.options import DebugOption, StageOption, open_stage
from deploy.stage import Stage

app = typer.Typer()

HOUR_S = 3600
MAX_HOURS = 100_000
MAX_DELAY_S = 15  # records reach CloudWatch Logs some seconds late and out of order
POLL_S = 2.0


def _check_hours(hours: float) -> float:
    if not 0 < hours < MAX_HOURS:  # also False for nan
        raise typer.BadParameter(f"must be greater than 0 and less than {MAX_HOURS:,}; it is {hours}.")
    return hours


@app.command("logs")
def logs_command(
    context: typer.Context,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Print new records until Ctrl-C.")] = False,
    errors: Annotated[bool, typer.Option("--errors", help="Print only errors.")] = False,
    hours: Annotated[float, typer.Option(callback=_check_hours, help="How many hours back to start.")] = 1.0,
    stage_name: StageOption = None,
    debug: DebugOption = False,
) -> None:
    """Print the service's log as readable lines."""
    stage = open_stage(context)
    since_s = time.time() - hours * HOUR_S
    printed: set[str] = set()
    while True:  # until Ctrl-C, with --follow
        started_s = time.time()
        _print_since(stage, since_s, printed, errors_only=errors)
        if not follow:
            break
        since_s = max(since_s, started_s - MAX_DELAY_S)
        stage.sleep(POLL_S)


def _print_since(stage: Stage, since_s: float, printed: set[str], *, errors_only: bool) -> None:
    """Print the records since a Unix time whose IDs are not in `printed`."""
    try:
        for event_id, line in read_logs(stage, since_s, errors_only=errors_only):
            if event_id not in printed:
                printed.add(event_id)
                print(line.text, flush=True)
    except ClientError as error:
        if error_code(error) != "ResourceNotFoundException":
            raise
        raise DeployError(
            f"{stage.config.name} has no logs in stage {stage.config.stage}: it has not been deployed.",
            "Deploy it: ./deploy.sh",
        ) from None
