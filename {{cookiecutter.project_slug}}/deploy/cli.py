"""The command line of ./deploy.sh. Each module in `commands/` is one command."""

from __future__ import annotations

import importlib
import pkgutil
import sys
import traceback

import typer

from deploy import commands
from deploy.commands.deploy import deploy
from deploy.errors import DeployError, UsageError, explain
from deploy.options import (
    COMPLETION_VARIABLE,
    DETAILED_EXITCODE,
    DebugOption,
    ImageOption,
    RebuildOption,
    StageOption,
    explain_usage,
    open_stage,
)
from deploy.stage import Stage

INTERRUPTED = 130
# The words of commands that change nothing, so that it does not matter if a reader stops them.
SHOWING = {"--help", "completion", "cost", "current", "doctor", "history", "jobs", "list", "logs", "plan", "status"}
STOPPED_BY_READER = DeployError(
    "The program that reads the output has ended, so this command has stopped.",
    "Run the same command again to continue.",
)

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
for module in pkgutil.iter_modules(commands.__path__):
    app.add_typer(importlib.import_module(f"deploy.commands.{module.name}").app)


@app.callback(invoke_without_command=True)
def deploy_by_default(
    context: typer.Context,
    image: ImageOption = None,
    rebuild: RebuildOption = False,
    stage_name: StageOption = None,
    debug: DebugOption = False,
) -> None:
    """Deploy this service to AWS Lambda and manage it there. Without a command: deploy."""
    if context.invoked_subcommand is None:
        deploy(open_stage(context), image, rebuild=rebuild)
    elif image is not None or rebuild:
        command = f"./deploy.sh {context.invoked_subcommand}"
        raise UsageError("--image and --rebuild belong after the command.", f"For example: {command} --rebuild")


def main(args: list[str]) -> int:
    """Run a command and return the exit code.

    0: success, 1: something failed, 2: a mistake in deploy.toml or in the arguments, 130: interrupted.
    """
    selected: dict[str, Stage] = {}  # filled by `open_stage`
    try:
        code = typer.main.get_command(app).main(
            args, prog_name="./deploy.sh", complete_var=COMPLETION_VARIABLE, standalone_mode=False, obj=selected
        )
    except typer.TyperException as error:
        return _report(explain_usage(error), selected, args)
    except SystemExit as error:
        if not isinstance(error.__context__, BrokenPipeError):
            raise
        # The reader closed the pipe, as in ./deploy.sh logs | head
        return 0 if SHOWING.intersection(args) else _report(STOPPED_BY_READER, selected, args)
    except Exception as error:
        if "--debug" in args:
            traceback.print_exc()
        return _report(explain(error), selected, args)
    if code == INTERRUPTED:
        print("Interrupted. Run the same command again to continue.", file=sys.stderr)
    return int(code or 0)


def _report(error: DeployError, selected: dict[str, Stage], args: list[str]) -> int:
    """Print an error, with the stage in the commands that its hint suggests. Return its exit code."""
    if error.details:
        print("\n".join(f"    {line}" for line in error.details.splitlines()), file=sys.stderr)
    hint = error.hint
    if "stage" in selected and "--stage" not in hint:
        hint = hint.replace("./deploy.sh", selected["stage"].command)
    print(f"{error.message}\n{hint}", file=sys.stderr)
    return 1 if DETAILED_EXITCODE in args else error.exit_code  # with this option, 2 means that there are changes
