"""Test the prompts and the next steps that cookiecutter shows, and the prices in them."""

import fcntl
import os
import pty
import re
import shlex
import struct
import sys
import termios
import tomllib
from pathlib import Path

import pytest

from scripts.projects import (
    CHOICES,
    COMBINATIONS,
    MANIFEST,
    PRICES,
    PROMPTS,
    TEMPLATE,
    Answers,
    combination_name,
    project_environment,
)
from tests.support.bake import Bake
from tests.support.hooks import run_hook, write_unpruned_project

MONTH_S = 30 * 24 * 3600
COLUMNS = 80


def run_cookiecutter_in_terminal(folder: Path) -> str:
    """Return what cookiecutter shows in a terminal of 80 columns to a person who presses Enter at each prompt."""
    command = [sys.executable, "-m", "cookiecutter", str(TEMPLATE), "--default-config"]
    environment = project_environment(folder) | {"TERM": "xterm", "PWD": str(folder), "COLUMNS": str(COLUMNS)}
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(folder)
        os.execve(command[0], command, environment)  # noqa: S606
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
    output = b""
    while True:
        try:
            output += os.read(terminal, 4096)
        except OSError:  # the process has ended
            break
        if output.endswith(b": "):
            os.write(terminal, b"\r")
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0, output.decode()
    return re.sub(r"\x1b\[[\d;]*m", "", output.decode()).replace("\r\n", "\n")


def test_each_prompt_and_choice_is_shown_on_one_line(tmp_path: Path) -> None:
    lines = run_cookiecutter_in_terminal(tmp_path).splitlines()
    for prompt in PROMPTS["__prompts__"].values():
        for text in prompt.values() if isinstance(prompt, dict) else [prompt]:
            assert any(text in line for line in lines), text
    assert max(len(line) for line in lines if "=" not in line) < COLUMNS
    steps = [line.split("#")[0].strip() for line in lines if " # " in line]
    assert steps == ["cd my-api", "make run", "./deploy.sh doctor", "./deploy.sh"]


def test_every_prompt_and_choice_has_a_text() -> None:
    names = {name for name in PROMPTS if not name.startswith("_")}
    assert set(PROMPTS["__prompts__"]) == names
    for name in CHOICES:
        texts = PROMPTS["__prompts__"][name]
        assert list(texts) == ["__prompt__", *CHOICES[name]]
        assert [text for text in texts.values() if len(f"    1 - {text}") > COLUMNS] == []


def test_the_prompts_contain_the_prices_of_the_project(bake: Bake) -> None:
    settings = tomllib.loads((bake(cold_starts="provisioned_concurrency").path / "deploy.toml").read_text("utf-8"))
    gb_s = settings["memory_mb"] / 1024 * MONTH_S
    idle = PRICES["provisioned_concurrency"]["idle_gb_s"]
    environments = settings["provisioned_concurrency"]["executions"]
    texts = PROMPTS["__prompts__"]
    for text, dollars in (
        (texts["endpoint"]["http_api"], PRICES["api_gateway"]["million_requests"]),
        (texts["secrets"]["secrets_manager"], PRICES["secrets_manager"]["secret"]),
        (texts["cold_starts"]["snapstart"], PRICES["snapstart"]["cached_gb_s"] * gb_s),
        (texts["cold_starts"]["provisioned_concurrency"], environments * idle["arm64"] * gb_s),
    ):
        assert f"${dollars:.2f} " in text
    x86_64, arm64 = (PRICES["lambda"]["gb_s"][architecture] for architecture in ("x86_64", "arm64"))
    assert ("a fifth cheaper" in texts["architecture"]["arm64"]) == (round(1 - arm64 / x86_64, 2) == 0.2)


@pytest.mark.parametrize("answers", [COMBINATIONS[0], COMBINATIONS[-1]], ids=combination_name)
def test_the_next_steps_match_the_answers(tmp_path: Path, answers: Answers) -> None:
    folder = tmp_path / "a b/my-api"
    write_unpruned_project(folder, {option: {choice: [] for choice in choices} for option, choices in MANIFEST.items()})
    lines = run_hook("post_gen_project", folder, answers).stdout.splitlines()
    selected = ", ".join(f"{option}={answer}" for option, answer in answers.items())
    assert lines[1] == f"Created with {selected}. Next steps:"
    assert len(lines) == 6
    assert shlex.split(lines[2], comments=True) == ["cd", str(folder)]
    assert ("secret set DATABASE_URL" in lines[4]) == (answers["migrations"] == "alembic")
    assert ("[domain]" in lines[5]) == (answers["endpoint"] == "http_api")
    assert ("two environments" in lines[5]) == (answers["cold_starts"] == "provisioned_concurrency")
