"""Test that `python -m embedded_aws` serves boto3 scripts and the AWS CLI in other processes until it is stopped."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import ends_soon, is_running

REPOSITORY = Path(__file__).parents[2]
AWS_CLI = str(Path(sys.executable).with_name("aws"))
STOP_S = 20

# The script that the README shows. Only the variables that the server prints tell it where AWS is.
README = (REPOSITORY / "embedded_aws/README.md").read_text()
SCRIPT = next(
    code for code in re.findall(r"```python\n(.*?)```", README, re.S) if "create_function(FunctionName" in code
)

HANDLER = """
import os

def handler(event, context):
    return {"greeting": f"Hello {event['name']}", "pid": os.getpid()}
"""


@dataclass(frozen=True)
class Server:
    """A running server and the environment of another terminal, with the variables that the server printed."""

    process: subprocess.Popen[str]
    environ: dict[str, str]

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=REPOSITORY, env=self.environ, capture_output=True, text=True, timeout=60, check=False
        )

    def push(self, folder: Path, image: str, *options: str) -> subprocess.CompletedProcess[str]:
        command = (sys.executable, "-m", "embedded_aws", "push", str(folder), image, "--handler", "main.handler")
        return self.run(*command, *options)

    def query(self, service: str, operation: str, expression: str) -> Any:
        """Return the result of a JMESPath expression on the output of the AWS CLI."""
        result = self.run(AWS_CLI, service, operation, "--query", expression, "--output", "json")
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    def stop(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(STOP_S)


def clean_environment(tmp_path: Path) -> dict[str, str]:
    """Return the environment of a user without any AWS settings."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    (tmp_path / "temporary").mkdir(exist_ok=True)
    return environ | {"HOME": str(tmp_path), "TMPDIR": str(tmp_path / "temporary")}


def start_command(*options: str) -> list[str]:
    return [sys.executable, "-m", "embedded_aws", "--port", "0", *options]


@contextmanager
def running_server(tmp_path: Path, *options: str) -> Iterator[Server]:
    """Start a server and read the variables that it prints. Kill it if the test does not stop it."""
    environ = clean_environment(tmp_path)
    process = subprocess.Popen(
        start_command(*options),
        cwd=REPOSITORY,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        exports = {}
        for line in process.stdout:
            assert line.startswith(("#", "export ")), "the output must be a shell script"
            if line.startswith("export "):
                name, _, value = line.removeprefix("export ").strip().partition("=")
                exports[name] = value
            if "python -m embedded_aws push" in line:  # the last line
                break
        yield Server(process, environ | exports)
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "greeter"
    folder.mkdir()
    (folder / "main.py").write_text(HANDLER)
    return folder


def test_a_boto3_script_and_the_aws_cli_use_a_server_in_another_process(tmp_path: Path, folder: Path) -> None:
    with running_server(tmp_path) as server:
        created = server.run(AWS_CLI, "ecr", "create-repository", "--repository-name", "greeter")
        assert created.returncode == 0, created.stderr
        pushed = server.push(folder, "greeter:1")
        assert pushed.stdout == "123456789012.dkr.ecr.us-east-1.amazonaws.com/greeter:1\n", pushed.stderr

        script = server.run(sys.executable, "-c", SCRIPT, pushed.stdout.strip())
        assert script.returncode == 0, script.stderr
        payload = json.loads(script.stdout)
        assert payload["greeting"] == "Hello Ada"

        assert server.query("ecr", "describe-repositories", "repositories[].repositoryName") == ["greeter"]
        assert server.query("iam", "list-roles", "Roles[].RoleName") == ["greeter"]
        assert server.query("lambda", "list-functions", "Functions[].[FunctionName, State]") == [["greeter", "Active"]]

        pid = payload["pid"]
        assert is_running(pid)
        assert server.stop(signal.SIGINT) == 130
        assert ends_soon(pid), "the process of the function outlived the server"
        assert not list((tmp_path / "temporary").iterdir()), "the server left temporary files behind"


def test_the_image_of_a_folder_does_not_change_when_the_folder_does(tmp_path: Path, folder: Path) -> None:
    with running_server(tmp_path) as server:
        server.run(AWS_CLI, "ecr", "create-repository", "--repository-name", "greeter")
        first = server.push(folder, "greeter:1")
        (folder / "main.py").write_text("raise SystemExit")
        second = server.push(folder, "greeter:2")
        script = server.run(sys.executable, "-c", SCRIPT, first.stdout.strip())
        assert second.returncode == 0, second.stderr
        assert json.loads(script.stdout)["greeting"] == "Hello Ada"


def test_a_folder_is_refused_without_a_repository(tmp_path: Path, folder: Path) -> None:
    with running_server(tmp_path) as server:
        result = server.push(folder, "greeter:1")
        assert result.returncode == 1
        assert result.stderr.startswith("embedded_aws: The repository greeter does not exist in us-east-1. Create it")
        assert result.stderr.count("\n") == 1


def test_a_folder_cannot_be_pushed_by_a_web_page(tmp_path: Path, folder: Path) -> None:
    request = (
        "import sys, os, urllib.request\n"
        "url = os.environ['AWS_ENDPOINT_URL'] + '/_embedded_aws/images'\n"
        "headers = dict(header.split('=') for header in sys.argv[1:])\n"
        "urllib.request.urlopen(urllib.request.Request(url, b'{}', headers))\n"
    )
    with running_server(tmp_path) as server:
        other_type = server.run(sys.executable, "-c", request, "Content-Type=text/plain")
        other_host = server.run(sys.executable, "-c", request, "Content-Type=application/json", "Host=example.com")
    assert "HTTP Error 400" in other_type.stderr
    assert "HTTP Error 400" in other_host.stderr


def test_sigterm_stops_the_server(tmp_path: Path) -> None:
    with running_server(tmp_path, "--region", "eu-central-1") as server:
        assert server.environ["AWS_REGION"] == "eu-central-1"
        assert server.stop(signal.SIGTERM) == 143


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--port", "{port}"], "embedded_aws: port {port} is in use. Select another one with --port.\n"),
        (["--port", "70000"], "'70000' is not a port from 0 to 65535"),
        (["--region", "moon-1"], "'moon-1' is not an AWS Region"),
        (
            ["push", "{folder}", "greeter", "--handler", "main.handler"],
            "'greeter' is not the name of a repository and a",
        ),
        (
            ["push", "{folder}", "a:b c", "--handler", "main.handler"],
            "'a:b c' is not the name of a repository and a tag",
        ),
        (["push", "{folder}", "greeter:1", "--handler", "main"], "'main' is not a handler."),
        (["push", "{folder}/no", "greeter:1", "--handler", "main.handler"], "no is not a folder.\n"),
        (
            ["push", "{folder}", "greeter:1", "--handler", "main.handler"],
            "AWS_ENDPOINT_URL and AWS_REGION are not set.",
        ),
    ],
)
def test_a_wrong_argument_is_reported_without_a_traceback(
    options: list[str], message: str, tmp_path: Path, folder: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        command = [option.format(port=port, folder=folder) for option in options]
        result = subprocess.run(
            [sys.executable, "-m", "embedded_aws", *command],
            cwd=REPOSITORY,
            env=clean_environment(tmp_path),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert message.format(port=port) in result.stderr
    assert result.returncode in (1, 2)
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://localhost:abc", "foo"])
def test_push_without_a_server_says_how_to_start_one(tmp_path: Path, folder: Path, url: str) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "embedded_aws", "push", str(folder), "greeter:1", "--handler", "main.handler"],
        cwd=REPOSITORY,
        env=clean_environment(tmp_path) | {"AWS_ENDPOINT_URL": url, "AWS_REGION": "us-east-1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 1
    assert result.stderr.startswith(f"embedded_aws: No embedded AWS responds at {url}. Start it with ")
    assert result.stderr.count("\n") == 1


def test_the_server_does_not_start_with_docker_if_its_engine_does_not_respond(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "embedded_aws", "--engine", "docker", "--port", "0"],
        cwd=REPOSITORY,
        env=clean_environment(tmp_path) | {"DOCKER_HOST": "unix:///nowhere/docker.sock"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 1
    assert result.stderr.startswith("embedded_aws: docker is ")
