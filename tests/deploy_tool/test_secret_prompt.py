"""`secret set` stores the complete value that was typed or pasted at its prompt, or nothing."""

import os
import pty
from pathlib import Path

import pytest

from embedded_aws import EmbeddedAws
from scripts.projects import Project, project_environment
from tests.support.bake import Bake

PEM = "-----BEGIN PRIVATE KEY-----\nMIIB\ntouch executed-by-the-shell\n-----END PRIVATE KEY-----\n"


def enter(project: Project, aws: EmbeddedAws, text: str) -> tuple[int, str]:
    """Enter text at the prompt of `secret set API_KEY` in a terminal. Return the exit code and the output."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(project.path)
        command = ["./deploy.sh", "secret", "set", "API_KEY"]
        os.execve(command[0], command, project_environment(project.path) | aws.environ)  # noqa: S606
    output, entered = b"", False
    while True:
        try:
            output += os.read(terminal, 4096)
        except OSError:  # the program has ended
            break
        if output.endswith(b"Value of API_KEY: ") and not entered:
            os.write(terminal, text.encode())
            entered = True
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), output.decode().replace("\r\n", "\n")


def stored(aws: EmbeddedAws) -> list[str]:
    """Return the values in the parameter store."""
    ssm = aws.client("ssm")
    names = [parameter["Name"] for parameter in ssm.describe_parameters()["Parameters"]]
    return [ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"] for name in names]


def test_a_line_is_stored(bake: Bake) -> None:
    with EmbeddedAws() as aws:
        code, output = enter(bake(), aws, "a secret value\n")
        assert code == 0, output
        assert "a secret value" not in output
        assert stored(aws) == ["a secret value"]


@pytest.mark.parametrize(
    ("text", "problem"), [(PEM, "has several lines"), ("x" * 2000 + "\n", "is longer than 1,022 characters")]
)
def test_a_value_that_does_not_fit_into_a_line_is_refused(bake: Bake, tmp_path: Path, text: str, problem: str) -> None:
    with EmbeddedAws() as aws:
        code, output = enter(bake(), aws, text)
        assert code == 2
        assert f"The value of API_KEY {problem}, which cannot be entered at a prompt. It was not stored." in output
        assert output.endswith("\nRead it from a file: ./deploy.sh secret set API_KEY < FILE\n")
        assert stored(aws) == []


def test_a_file_is_stored_completely(bake: Bake) -> None:
    with EmbeddedAws() as aws:
        bake().run(["sh", "-c", 'printf %s "$0" | ./deploy.sh secret set API_KEY', PEM], env=aws.environ)
        assert stored(aws) == [PEM.removesuffix("\n")]
