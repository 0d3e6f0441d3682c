"""Test that the Tab key completes commands, options and stages in real shells."""

import os
import pty
import re
import select
import shutil
import sys
from pathlib import Path

import pytest

from tests.support.deployed_stage import DeployedStage

SHELLS = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
}
COMPLETIONS = {
    "st\t": "status",
    "comp\t z\t": "completion zsh",
    "--stage sta\t ro\t": "--stage staging rollback",
    "plan --det\t": "plan --detailed-exitcode",
    "secret rem\t": "secret remove",
    "logs --err\t --stage pr\t": "logs --errors --stage prod",
}
DEPLOY_SH = """#!/bin/sh
if [ "${{_DEPLOY_SH_COMPLETE:-}}" ]; then
    exec "{python}" -m deploy
fi
echo "<$*>"
"""


class Shell:
    """An interactive shell in a terminal of its own."""

    def __init__(self, name: str, folder: Path) -> None:
        self.child, self.terminal = pty.fork()
        if self.child == 0:
            os.chdir(folder)
            variables = {"PATH": os.environ["PATH"], "TERM": "dumb", "HOME": str(folder)}
            os.execvpe(SHELLS[name][0], SHELLS[name], variables)  # noqa: S606

    def run(self, line: str) -> str:
        """Type a line and return what its program prints between angle brackets, on a line of its own."""
        os.write(self.terminal, f"{line}\n".encode())
        output = ""
        while not (printed := re.search(r"[\r\n]<(.*?)>\r\n", output)):
            assert select.select([self.terminal], [], [], 60)[0], output
            output += os.read(self.terminal, 4096).decode()
        return printed[1]

    def close(self) -> None:
        os.write(self.terminal, b"exit\n")
        os.waitpid(self.child, 0)
        os.close(self.terminal)


@pytest.mark.parametrize("shell", SHELLS)
def test_the_tab_key_completes_a_command(stage: DeployedStage, shell: str) -> None:
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    folder = stage.project.path
    script = stage.deploy("completion", shell)
    assert script.code == 0
    (folder / "completion").write_text(script.out, "utf-8")
    deploy_toml = (folder / "deploy.toml").read_text("utf-8")
    (folder / "deploy.toml").write_text(f"{deploy_toml}\n[stages.staging]\n[stages.staging.environment]\n", "utf-8")
    (folder / "deploy.sh").write_text(DEPLOY_SH.format(python=sys.executable), "utf-8")
    (folder / "deploy.sh").chmod(0o755)
    terminal = Shell(shell, folder)
    if shell == "zsh":
        terminal.run("autoload -U compinit; compinit -u -D; echo '<ready>'")
    terminal.run("eval \"$(cat completion)\"; echo '<ready>'")
    completed = {line: terminal.run(f"./deploy.sh {line}") for line in COMPLETIONS}
    terminal.close()
    assert completed == COMPLETIONS
