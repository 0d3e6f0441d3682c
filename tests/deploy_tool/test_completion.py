"""Does the Tab key complete verbs, options and stages, in the shells themselves?"""

import os
import pty
import re
import select
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.scene import Scene

SHELLS = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
}
TYPED = {
    "st\t": "status",
    "comp\t z\t": "completion zsh",
    "--stage sta\t ro\t": "--stage staging rollback",
    "plan --det\t": "plan --detailed-exitcode",
    "secret rem\t": "secret remove",
    "logs --err\t --stage pr\t": "logs --errors --stage prod",
}


class Shell:
    """A shell at a terminal of its own."""

    def __init__(self, name: str, folder: Path) -> None:
        self.child, self.terminal = pty.fork()
        if self.child == 0:
            os.chdir(folder)
            variables = {"PATH": os.environ["PATH"], "TERM": "dumb", "HOME": str(folder)}
            os.execvpe(SHELLS[name][0], SHELLS[name], variables)  # noqa: S606

    def type(self, line: str) -> str:
        """What a program then says in a line of its own, in angle brackets."""
        os.write(self.terminal, f"{line}\n".encode())
        shown = ""
        while not (said := re.search(r"[\r\n]<(.*?)>\r\n", shown)):
            assert select.select([self.terminal], [], [], 30)[0], shown
            shown += os.read(self.terminal, 4096).decode()
        return said[1]

    def close(self) -> None:
        os.write(self.terminal, b"exit\n")
        os.waitpid(self.child, 0)
        os.close(self.terminal)


@pytest.mark.parametrize("shell", SHELLS)
def test_tab_completes(scene: Scene, tmp_path: Path, shell: str) -> None:
    if not shutil.which(shell):
        pytest.skip(f"no {shell} on this machine")
    (tmp_path / "completion").write_text(scene.deploy("completion", shell).out, "utf-8")
    deploy_toml = (scene.project.path / "deploy.toml").read_text("utf-8")
    (tmp_path / "deploy.toml").write_text(f"{deploy_toml}\n[stages.staging]\n[stages.staging.environment]\n", "utf-8")
    (tmp_path / "deploy.sh").write_text('#!/bin/sh\necho "<$*>"\n')
    (tmp_path / "deploy.sh").chmod(0o755)
    at_a_terminal = Shell(shell, tmp_path)
    if shell == "zsh":
        at_a_terminal.type("autoload -U compinit; compinit -u -D; echo '<ready>'")
    at_a_terminal.type("eval \"$(cat completion)\"; echo '<ready>'")
    said = {line: at_a_terminal.type(f"./deploy.sh {line}") for line in TYPED}
    at_a_terminal.close()
    assert said == TYPED


def test_no_other_verb_loads_it(scene: Scene) -> None:
    command = [sys.executable, "-c", "import sys, deploy.command_line; print('shtab' in sys.modules)"]
    told = subprocess.run(command, cwd=scene.project.path, capture_output=True, text=True, check=True)
    assert told.stdout == "False\n"
