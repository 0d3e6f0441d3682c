"""Check that the prompts, the next steps and `make help` tell a new user what to choose and what to do next."""

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
    COMBINATIONS,
    MANIFEST,
    PRICES,
    PROMPTS,
    TEMPLATE,
    Answers,
    combination_name,
    project_environment,
    run_cookiecutter,
)
from tests.support.bake import Bake
from tests.support.hooks import hook, lay_out

MONTH_S = 30 * 24 * 3600
COLUMNS = 80


def typed_at_a_terminal(folder: Path) -> str:
    """What cookiecutter shows in a terminal of 80 columns to someone who presses Enter at each prompt."""
    command = [sys.executable, "-m", "cookiecutter", str(TEMPLATE), "--default-config"]
    variables = project_environment(folder) | {"TERM": "xterm", "PWD": str(folder), "COLUMNS": str(COLUMNS)}
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        os.execve(command[0], command, variables)  # noqa: S606
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
    shown = b""
    while True:
        try:
            shown += os.read(terminal, 4096)
        except OSError:  # it has ended
            break
        if shown.endswith(b": "):
            os.write(terminal, b"\r")
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, shown.decode()
    return re.sub(r"\x1b\[[\d;]*m", "", shown.decode()).replace("\r\n", "\n")


def test_each_prompt_and_choice_is_shown_in_one_line(tmp_path: Path) -> None:
    shown = typed_at_a_terminal(tmp_path).splitlines()
    for told in PROMPTS["__prompts__"].values():
        for line in told.values() if isinstance(told, dict) else [told]:
            assert any(line in one for one in shown), line
    assert max(len(line) for line in shown if "=" not in line) < COLUMNS
    steps = [line.split("#")[0].strip() for line in shown if " # " in line]
    assert steps == ["cd my-api", "make run", "./deploy.sh doctor", "./deploy.sh"]


def test_the_prompts_quote_the_prices_of_the_project(bake: Bake) -> None:
    defaults = tomllib.loads((bake(cold_starts="provisioned_concurrency").path / "deploy.toml").read_text("utf-8"))
    gb_s = defaults["memory_mb"] / 1024 * MONTH_S
    idle = PRICES["provisioned_concurrency"]["idle_gb_s"]
    told = PROMPTS["__prompts__"]
    ready = defaults["provisioned_concurrency"]["executions"]
    for line, dollars in (
        (told["endpoint"]["http_api"], PRICES["api_gateway"]["million_requests"]),
        (told["secrets"]["secrets_manager"], PRICES["secrets_manager"]["secret"]),
        (told["cold_starts"]["snapstart"], PRICES["snapstart"]["cached_gb_s"] * gb_s),
        (told["cold_starts"]["provisioned_concurrency"], ready * idle["arm64"] * gb_s),
    ):
        assert f"${dollars:.2f} " in line
    x86_64, arm64 = (PRICES["lambda"]["gb_s"][one] for one in ("x86_64", "arm64"))
    assert ("a fifth cheaper" in told["architecture"]["arm64"]) == (round(1 - arm64 / x86_64, 2) == 0.2)


@pytest.mark.parametrize("answers", [COMBINATIONS[0], COMBINATIONS[-1]], ids=combination_name)
def test_the_next_steps_are_those_of_the_answers(tmp_path: Path, answers: Answers) -> None:
    lay_out(tmp_path / "a b/my-api", {option: {choice: [] for choice in MANIFEST[option]} for option in MANIFEST})
    said = hook("post_gen_project", tmp_path / "a b/my-api", answers).stdout.splitlines()
    assert said[1] == f"Created with {', '.join(f'{o}={a}' for o, a in answers.items())}. Next steps:"
    assert len(said) == 6
    assert shlex.split(said[2], comments=True) == ["cd", str(tmp_path / "a b/my-api")]
    assert ("secret set DATABASE_URL" in said[4]) == (answers["migrations"] == "alembic")
    assert ("[domain]" in said[5]) == (answers["endpoint"] == "http_api")
    assert ("two environments" in said[5]) == (answers["cold_starts"] == "provisioned_concurrency")


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="only Linux shows the command line of cookiecutter")
def test_a_misspelt_prompt_is_reported_in_one_line(tmp_path: Path) -> None:
    result = run_cookiecutter(tmp_path, "--no-input", "project_name=a=b c=d", "endpint=http_api")
    assert result.returncode == 1
    first = result.stderr.splitlines()[0]
    assert first.startswith("endpint is not a prompt of this template. It asks for ")
    assert not (tmp_path / "a-b-c-d").exists()


def test_cookiecutter_reports_an_unknown_choice_in_the_last_line(tmp_path: Path) -> None:
    """This happens before a hook runs, so the hooks do not check the choices again."""
    result = run_cookiecutter(tmp_path, "--no-input", "endpoint=ftp")
    assert result.returncode == 1
    told = "ftp provided for choice variable endpoint, but the choices are ['function_url', 'http_api']."
    assert result.stderr.splitlines()[-1] == f"ValueError: {told}"


def test_make_says_what_there_is(bake: Bake) -> None:
    for answers in (COMBINATIONS[0], COMBINATIONS[-1]):
        project = bake(**answers)
        said = project.run("make").stdout
        phony = re.findall(r"(?m)^\.PHONY: (.*)", (project.path / "Makefile").read_text("utf-8"))
        assert sorted(re.findall(r"(?m)^make (\w+) +\S", said)) == sorted(" ".join(phony).split())
        assert said == project.run("make help").stdout
