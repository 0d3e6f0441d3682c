"""./deploy.sh doctor: find problems that would make a deploy fail, and explain how to fix them."""

from __future__ import annotations

import typer

from deploy.errors import explain
from deploy.image import check_engine
from deploy.options import DebugOption, StageOption, open_stage
from deploy.resource import Check
from deploy.stack import Stack

app = typer.Typer()


@app.command("doctor")
def doctor_command(context: typer.Context, stage_name: StageOption = None, debug: DebugOption = False) -> None:
    """Find problems that would make a deploy fail. Exit with 1 if there are any."""
    stage = open_stage(context)
    print(stage)
    credentials = Check("credentials", lambda: stage.client("sts").get_caller_identity()["Arn"])
    checks = [Check("container engine", lambda: check_engine(stage)), credentials]
    checks += [check for component in Stack(stage).components for check in component.checks()]
    problems = 0
    for check in checks:
        try:
            print(f"ok       {check.name}: {check.run()}")
        except Exception as error:  # the other checks still help
            problem = explain(error)
            lines = [problem.message, *problem.details.splitlines(), problem.hint]
            print(f"PROBLEM  {check.name}: " + "\n         ".join(lines))
            problems += 1
            if check is credentials:
                print("         Skipping the remaining checks: they need AWS credentials.")
                break
    if problems:
        print(f"{problems} {'problem' if problems == 1 else 'problems'} found.")
        raise typer.Exit(1)
    print("No problems found.")
