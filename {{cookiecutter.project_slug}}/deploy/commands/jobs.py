"""./deploy.sh jobs: show schedules, waiting and failed background jobs, and run failed ones again."""

from __future__ import annotations

import json

import typer

from deploy.options import DebugOption, StageOption, open_stage
from deploy.resources.failed_job_queue import FailedJob
from deploy.stack import Stack

app = typer.Typer(name="jobs")

SHOWN = 10  # failed jobs
LONGEST = 100  # characters of the arguments


@app.callback(invoke_without_command=True)
def jobs_group(context: typer.Context, stage_name: StageOption = None, debug: DebugOption = False) -> None:
    """Show schedules, and waiting and failed background jobs."""
    if context.invoked_subcommand is None:
        stack = Stack(open_stage(context))
        if _has_jobs(stack):
            _show(stack)


@app.command("retry")
def retry_command(context: typer.Context, stage_name: StageOption = None, debug: DebugOption = False) -> None:
    """Run failed jobs again: move them back to the queue."""
    stack = Stack(open_stage(context))
    if not _has_jobs(stack):
        return
    if not stack.failed_jobs.count_messages().total:
        print("No job has failed.")
        return
    moved = stack.failed_jobs.retry()
    print(f"{moved} failed {'job was' if moved == 1 else 'jobs were'} moved back to the queue.")


def _has_jobs(stack: Stack) -> bool:
    """Return True if deploy.toml contains [jobs]. Otherwise say so."""
    if stack.stage.config.jobs:
        return True
    print(f"{stack.stage.config.name} has no background jobs: deploy.toml does not contain [jobs].")
    return False


def _show(stack: Stack) -> None:
    queued, failed = stack.job_queue.count_messages(), stack.failed_jobs.count_messages().total
    print(stack.stage)
    if stack.stage.is_preview:
        print("schedules  off in previews")
    else:
        for name in stack.job_schedules.list_names():
            schedule = stack.job_schedules.read_schedule(name)
            time = f"{schedule['ScheduleExpression']} {schedule['ScheduleExpressionTimezone']}"
            print(f"schedule   {name}  {time}  {schedule['State'].lower()}")
    print(f"waiting    {queued.waiting + queued.delayed or 'none'}")
    note = "  (including jobs that failed and wait for their next attempt)" if queued.running else ""
    print(f"running    {queued.running or 'none'}{note}")
    print(f"failed     {failed or 'none'}")
    if failed:
        for job in stack.failed_jobs.peek(SHOWN):
            print(f"  {_describe(job)}")
        print(f"Run them again: {stack.stage.command} jobs retry")


def _describe(job: FailedJob) -> str:
    """Return the time, the name, the ID and the arguments of a job in one line."""
    time = f"queued {job.queued:%Y-%m-%d %H:%M} UTC"
    try:
        message = json.loads(job.body)
        name, identifier, arguments = message["job"], message["id"], json.dumps(message["arguments"])
    except (ValueError, LookupError, TypeError):  # not sent by the service
        return f"{time}  {_shorten(job.body)}"
    return f"{time}  {name}  id {identifier}  {_shorten(arguments)}"


def _shorten(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}…"
