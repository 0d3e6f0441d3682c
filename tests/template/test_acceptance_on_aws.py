"""Test `make test-aws` on the embedded AWS: it must remove all resources even if it fails or is interrupted."""

import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from embedded_aws import EmbeddedAws
from embedded_aws.calls import Call
from embedded_aws.containers.docker_aws import docker_aws
from embedded_aws.containers.docker_engine import docker
from scripts import acceptance_on_aws as account
from scripts.acceptance_on_aws import NAME, Account, main
from scripts.deploy_tool import Run
from scripts.projects import COMBINATIONS, TEMPLATE, Project, combination_name
from tests.support.bake import Bake
from tests.support.deploy_tool import DeployTool, push_image, remaining_resources, run_in_process
from tests.support.deployed_stage import task_root

# Run the program with an image that exists already, and ./deploy.sh in separate processes.
DRIVER = """
import sys
from scripts.acceptance_on_aws import Account, main

class BuiltElsewhere(Account):
    def ready(self): pass
    def image(self, project): return ["--image", sys.argv[1]]

sys.exit(main(sys.argv[2:], BuiltElsewhere()))
"""


class Embedded(Account):
    """Use the embedded AWS without a container engine, and run the deploy tool in this process.

    If `interrupted_at` is 2, Ctrl-C is pressed when the second image is built.
    """

    def __init__(self, aws: EmbeddedAws) -> None:
        self.aws = aws
        self.releases = count(1)
        self.interrupted_at = 0

    def ready(self) -> None: ...

    def image(self, project: Project) -> list[str]:
        if next(self.releases) == self.interrupted_at:
            raise KeyboardInterrupt
        return ["--image", push_image(project, self.aws)]

    def deploy(self, project: Project, *arguments: str, typed: str = "") -> Run:
        run = run_in_process(project, self.aws, *arguments, typed=typed)
        print(run.out, run.err)
        return run


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedAws]:
    with EmbeddedAws() as aws:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            monkeypatch.delenv(name)
        for name, value in aws.environ.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr("signal.signal", lambda *_: None)
        yield aws


@pytest.mark.parametrize(
    ("denied", "code", "message"),
    [("iam:PutRolePolicy", 1, "AWS denied PutRolePolicy"), ("", 130, "test-aws: stopped")],
    ids=["AWS denies a call", "Ctrl-C"],
)
def test_a_run_that_fails_or_is_interrupted_removes_its_resources(
    aws: EmbeddedAws, capsys: pytest.CaptureFixture[str], denied: str, code: int, message: str
) -> None:
    embedded = Embedded(aws)
    if denied:
        aws.deny(denied)
    else:
        embedded.interrupted_at = 2
    assert main(["--yes", "endpoint=http_api"], embedded) == code
    captured = capsys.readouterr()
    assert message in captured.err
    assert "Deleting the remaining resources" in captured.out
    assert remaining_resources(aws) == []


def test_the_next_run_removes_its_resources_and_those_of_a_killed_run(
    bake: Bake, tmp_path: Path, aws: EmbeddedAws, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [sys.executable, "-c", DRIVER, push_image(bake(), aws), "--yes", "endpoint=http_api"]
    environ = {**os.environ, "TMPDIR": str(tmp_path)}
    run = subprocess.Popen(command, cwd=TEMPLATE, env=environ, stdout=subprocess.DEVNULL, start_new_session=True)

    def kill(call: Call, number: int, when: str) -> None:
        if (call.operation, when) == ("PutMetricAlarm", "after"):
            os.killpg(run.pid, signal.SIGKILL)

    remove_hook = aws.hook(kill)
    assert run.wait(timeout=240) == -signal.SIGKILL
    remove_hook()
    services = {resource.split()[0] for resource in remaining_resources(aws)}
    assert services >= {"lambda", "iam", "logs", "cloudwatch", "apigatewayv2"}

    assert main(["--yes"], Embedded(aws)) == 0
    output = capsys.readouterr().out
    announced = output.partition("In all")[0]
    assert "AWS account 123456789012 in us-east-1" in announced
    assert "about 6 min, at most $0.01" in announced
    assert (
        output.index("These resources of an earlier run")
        < output.index("Deleting the remaining resources")
        < output.index("[1/6]")
    )
    deleted = output.rpartition("This permanently deletes:\n")[2].partition("Type")[0]
    kinds = [line[:25].strip() for line in deleted.splitlines()]
    assert len(kinds) == 7
    assert [kind for kind in kinds if kind not in announced] == []
    assert remaining_resources(aws) == []


def test_clean_up_removes_the_resources_of_runs_with_other_answers(
    bake: Bake, tmp_path: Path, aws: EmbeddedAws, capsys: pytest.CaptureFixture[str]
) -> None:
    image = aws.push_image("built-elsewhere", task_root(tmp_path, "ok"))
    stages = {"t0123abcd": COMBINATIONS[0], "t0123abce": COMBINATIONS[-1]}
    for stage, answers in stages.items():
        project = bake(**answers).copy(tmp_path / stage)
        project.edit("deploy.toml", 'name = "my-api"', f'name = "{NAME}"')
        deploy = DeployTool(project, aws)
        for secret in ("API_KEY", "DATABASE_URL"):
            deploy("--stage", stage, "secret", "set", secret, typed="postgresql://nowhere")
        deploy("--stage", stage, "--image", image)
    assert main(["--yes", "--clean-up"], Embedded(aws)) == 0
    output = capsys.readouterr().out
    for stage in stages:
        assert f"These resources of an earlier run are deleted first: lambda {NAME}-{stage}" in output
    assert remaining_resources(aws) == []


@pytest.mark.parametrize(
    ("arguments", "unset", "message"),
    [
        ([], ["AWS_REGION", "AWS_DEFAULT_REGION"], "no Region is set"),
        ([], ["AWS_ACCESS_KEY_ID"], "no AWS credentials were found"),
        ([], ["PATH"], "docker is not installed"),
        (["migrations=alembic"], [], "DATABASE_URL is not set"),
        (["endpoint=alb"], [], "'alb' is not a choice of endpoint. Choices: function_url, http_api."),
        ([], [], "stopped before any change"),
    ],
)
def test_a_run_with_missing_settings_does_not_start(
    aws: EmbeddedAws,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    unset: list[str],
    message: str,
) -> None:
    for name in ["DATABASE_URL", *unset]:
        monkeypatch.setenv(name, "")
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert main(arguments, None if "PATH" in unset else Embedded(aws)) == 1
    error = capsys.readouterr().err
    assert error.startswith("test-aws: ")
    assert message in error
    assert error.count("\n") == 1
    assert [call.operation for call in aws.calls if call.mutating] == []


def test_all_selects_every_combination_with_the_answers(
    aws: EmbeddedAws, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert main(["--all", "migrations=none", "endpoint=http_api"], Embedded(aws)) == 1
    output = capsys.readouterr().out
    names = [combination_name(answers) for answers in COMBINATIONS]
    expected = [name for name in names if name.startswith("http_api-") and "-none-" in name]
    assert [name for name in names if f"  {name}: about" in output] == expected
    assert f"In total: about {4 * 6 + 2 * 12} min" in output


def test_the_run_succeeds_with_a_container_engine(engine: str) -> None:
    with docker_aws() as aws:
        result = subprocess.run(
            [sys.executable, "-m", "scripts.acceptance_on_aws", "--yes", f"architecture={engine}"],
            cwd=TEMPLATE, env=os.environ | aws.environ, capture_output=True, text=True,
        )  # fmt: skip
        assert result.returncode == 0, result.stdout + result.stderr
        assert remaining_resources(aws) == []
        assert NAME not in docker("images")


def test_the_estimates_name_only_existing_choices() -> None:
    choices = {answer for answers in COMBINATIONS for answer in answers.values()}
    assert {*account.RESOURCES, *account.ADDITIONAL_COSTS, *account.MINUTES} <= choices
