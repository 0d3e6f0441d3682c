"""./deploy.sh completion: print a script that completes commands, options and stages in bash or zsh."""

from __future__ import annotations

from typing import Annotated, Literal

import typer
from typer.completion import completion_init, get_completion_script  # type: ignore[attr-defined]

from deploy.options import COMPLETION_VARIABLE

app = typer.Typer()
completion_init()  # so that typer completes; it calls this only for its own --install-completion

PROGRAM = "deploy.sh"  # completed in whatever folder it is


@app.command("completion")
def completion_command(shell: Annotated[Literal["bash", "zsh"], typer.Argument(help="Your shell.")]) -> None:
    r"""Print a script that completes commands, options and stages.

    Add a line to ~/.bashrc or ~/.zshrc: eval "$(/path/to/deploy.sh completion bash)"
    """
    script = get_completion_script(prog_name=PROGRAM, complete_var=COMPLETION_VARIABLE, shell=shell)
    if shell == "zsh":  # the script of typer would run deploy.sh from PATH, instead of the word that was typed
        script = script.replace(f"complete_zsh {PROGRAM}", "complete_zsh ${words[1]}")
    print(script)
