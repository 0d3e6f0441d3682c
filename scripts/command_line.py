"""Parts that the command lines of the programs share: answers as arguments, messages, and a temporary project."""

import shlex
import signal
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from scripts.projects import PROMPTS, TEMPLATE, Answers, Project, generate_project


class ScriptError(Exception):
    """An error that a program prints: one line that says what happened and, if that helps, one that says what to do."""


def say(line: str = "") -> None:
    """Print a line and flush it, so that it precedes the output of the commands that follow."""
    print(line, flush=True)


def handle_sigterm_like_ctrl_c() -> None:
    """Raise KeyboardInterrupt when this process receives SIGTERM or SIGINT, so that it stops what it started.

    A shell starts background jobs with SIGINT ignored, and the processes that they start would inherit that.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)


def parse_answers(arguments: Sequence[str]) -> dict[str, str]:
    """Return the answers of arguments such as endpoint=http_api. Raise ScriptError if one is not an answer."""
    prompts = [name for name in PROMPTS if not name.startswith("_")]
    answers = {}
    for argument in arguments:
        name, equals, answer = argument.partition("=")
        if not equals or name not in prompts:
            example = "Write name=answer, for example endpoint=http_api."
            raise ScriptError(f"{argument} is not an answer. {example} Prompts: {', '.join(prompts)}.")
        choices = PROMPTS[name]
        if isinstance(choices, list) and answer not in choices:
            raise ScriptError(f"{answer!r} is not a choice of {name}. Choices: {', '.join(choices)}.")
        answers[name] = answer
    return answers


@contextmanager
def temporary_project(answers: Answers) -> Iterator[Project]:
    """Show the cookiecutter command, run it, yield its project, and delete the project.

    Raise InvalidAnswers if the template refuses an answer.
    """
    with tempfile.TemporaryDirectory(prefix="demo-") as folder:
        words = [f"{name}={answer}" for name, answer in answers.items()]
        say("$ " + shlex.join(["cookiecutter", TEMPLATE.name, "--no-input", *words]))
        yield generate_project(Path(folder, "projects"), answers)
