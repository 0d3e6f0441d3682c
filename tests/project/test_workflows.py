"""Test that the generated workflows are valid and secure, and that their steps run the right commands."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.projects import ALL_ANSWERS, TEMPLATE, Project
from tests.support.bake import Bake

FOLDER = ".github/workflows"
SCHEMA = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
ZIZMOR = [str(Path(sys.executable).with_name("zizmor")), "--offline", "--persona", "auditor", "--no-progress"]
ERRORS = {
    "schema": (SCHEMA, "    runs-on: ubuntu-24.04\n", "    runs-of: ubuntu-24.04\n"),
    "injection": (ZIZMOR, 'rollback ${VERSION:+"$VERSION"}', "rollback ${{ github.event.pull_request.title }}"),
    "permissions": (ZIZMOR, "permissions: {}\n", "permissions: write-all\n"),
    "not pinned": (ZIZMOR, "3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1", "v7"),
}
# Replaces ./deploy.sh. It records each call: one line for each argument, and the standard input.
STUB = """#!/bin/bash
{ echo called; printf 'argument %s\\n' "$@"; [ -p /dev/stdin ] && sed 's/^/input /' && echo; } >> "$CALLS"
echo https://example.com/
exit "${FAILS:-0}"
"""
Job = dict[str, Any]


@pytest.fixture(scope="module")
def workflow_files(bake: Bake, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Write every different workflow of a project, with any answers, and the workflows of the template."""
    projects = [bake(**answers) for answers in ALL_ANSWERS]
    texts = {(name, text) for project in projects for name, text in project.texts() if name.startswith(FOLDER)}
    assert {Path(name).name for name, _ in texts} == {"ci.yml", "deploy.yml"}
    template_workflows = {(file.name, file.read_text("utf-8")) for file in (TEMPLATE / FOLDER).glob("*.yml")}
    folder = tmp_path_factory.mktemp("workflows")
    files = [folder / f"{number}-{Path(name).name}" for number, (name, _) in enumerate(texts | template_workflows)]
    for file, (_, text) in zip(files, texts | template_workflows, strict=True):
        file.write_text(text, "utf-8")
    return files


@pytest.fixture(scope="module")
def jobs(bake: Bake) -> dict[str, Job]:
    """Return the jobs of the workflow that deploys, with a database and a secret."""
    return read_jobs(bake(migrations="alembic", secrets="secrets_manager"))


def read_jobs(project: Project) -> dict[str, Job]:
    loaded = yaml.safe_load((project.path / FOLDER / "deploy.yml").read_text("utf-8"))
    return dict(loaded["jobs"])


@pytest.mark.parametrize("tool", [SCHEMA, ZIZMOR], ids=["schema", "zizmor"])
def test_the_workflows_pass_the_check(workflow_files: list[Path], tool: list[str]) -> None:
    result = subprocess.run([*tool, *map(str, workflow_files)], capture_output=True, encoding="utf-8")
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("error", ERRORS)
def test_the_check_reports_an_error(bake: Bake, tmp_path: Path, error: str) -> None:
    tool, good, bad = ERRORS[error]
    text = (bake().path / FOLDER / "deploy.yml").read_text("utf-8")
    assert good in text
    (tmp_path / "deploy.yml").write_text(text.replace(good, bad), "utf-8")
    assert subprocess.run([*tool, str(tmp_path / "deploy.yml")], capture_output=True).returncode != 0


def test_every_action_is_pinned_to_a_commit(workflow_files: list[Path]) -> None:
    for file in workflow_files:
        for action in re.findall(r"uses: (\S+(?: # v\S+)?)", file.read_text("utf-8")):
            assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v[\d.]+|\./\.github/workflows/ci\.yml", action), action


def test_the_dependabot_settings_are_valid_and_the_same_in_template_and_project(bake: Bake) -> None:
    file = bake().path / ".github/dependabot.yml"
    assert file.read_text("utf-8") == (TEMPLATE / ".github/dependabot.yml").read_text("utf-8")
    for tool in ([*SCHEMA[:-1], "vendor.dependabot"], ZIZMOR):
        result = subprocess.run([*tool, str(file)], capture_output=True, encoding="utf-8")
        assert result.returncode == 0, result.stdout + result.stderr


def test_an_action_is_pinned_to_the_same_commit_everywhere(workflow_files: list[Path]) -> None:
    pins = {pin for file in workflow_files for pin in re.findall(r"uses: ([\w./-]+)@(\S+)", file.read_text("utf-8"))}
    assert len(pins) == len({action for action, _ in pins})


def test_no_script_contains_an_expression(workflow_files: list[Path]) -> None:
    for file in workflow_files:
        loaded = yaml.safe_load(file.read_text("utf-8"))
        steps = [step for job in loaded["jobs"].values() for step in job.get("steps", [])]
        assert [step for step in steps if "${{" in step.get("run", "")] == []


def test_only_jobs_of_an_environment_get_credentials_and_forks_get_none(jobs: dict[str, Job]) -> None:
    with_credentials = {name: job for name, job in jobs.items() if "id-token" in job["permissions"]}
    assert set(with_credentials) == {"deploy", "rollback", "preview", "remove-preview"}
    for name, job in with_credentials.items():
        assert job["permissions"] == {"contents": "read", "id-token": "write"}
        previews = name.endswith("preview")
        assert job["environment"]["name"] == ("preview" if previews else "prod")
        (role,) = [step["with"]["role-to-assume"] for step in job["steps"] if "role-to-assume" in step.get("with", {})]
        assert role == "${{ vars.AWS_ROLE_ARN }}" + (".previews" if previews else "")
        of_this_repository = "github.event.pull_request.head.repo.full_name == github.repository"
        assert (of_this_repository in job.get("if", "")) == previews
    assert set(jobs["ci"]["permissions"]) == {"contents"}


def test_deploys_of_a_stage_run_one_after_the_other(jobs: dict[str, Job]) -> None:
    groups = {name: job["concurrency"] for name, job in jobs.items() if name != "ci"}
    assert groups["deploy"] == groups["rollback"] == {"group": "prod", "cancel-in-progress": False}
    number = {"group": "preview-${{ github.event.number }}", "cancel-in-progress": False}
    assert groups["preview"] == groups["remove-preview"] == number


def test_a_deploy_waits_for_the_checks(jobs: dict[str, Job]) -> None:
    assert (jobs["deploy"]["needs"], jobs["ci"]["uses"]) == ("ci", f"./{FOLDER}/ci.yml")


COMMANDS = {
    "deploy": ["plan", "", "status --url"],
    "rollback": ["rollback", "status --url"],
    "preview": [
        "--stage pr-12 secret set DATABASE_URL < postgresql://database",
        "--stage pr-12",
        "--stage pr-12 status --url",
    ],
    "remove-preview": ["--stage pr-12 destroy --yes --purge"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_job_runs_the_commands_of_the_deploy_tool(jobs: dict[str, Job], tmp_path: Path, name: str) -> None:
    runner = Runner(tmp_path)
    assert runner.run(jobs[name], STAGE="pr-12", DATABASE_URL="postgresql://database") == 0
    assert runner.calls() == COMMANDS[name]
    if "status" in COMMANDS[name][-1]:
        assert runner.read("GITHUB_OUTPUT") == "url=https://example.com/\n"
    if name == "deploy":
        assert runner.read("GITHUB_STEP_SUMMARY") == "```\nhttps://example.com/\n```\n"


def test_the_readme_shows_a_valid_step_that_sets_a_secret_in_previews(bake: Bake, tmp_path: Path) -> None:
    project = bake()
    (step,) = re.findall(r"(?ms)^```yaml\n(.*?)^```$", (project.path / "README.md").read_text("utf-8"))
    deploy = '      - run: sh deploy.sh --stage "$STAGE"\n'
    text = (project.path / FOLDER / "deploy.yml").read_text("utf-8")
    assert text.count(deploy) == 1
    (tmp_path / "deploy.yml").write_text(text.replace(deploy, step + deploy), "utf-8")
    for tool in (SCHEMA, ZIZMOR):
        result = subprocess.run([*tool, str(tmp_path / "deploy.yml")], capture_output=True, encoding="utf-8")
        assert result.returncode == 0, result.stdout + result.stderr
    runner = Runner(tmp_path)
    job = yaml.safe_load((tmp_path / "deploy.yml").read_text("utf-8"))["jobs"]["preview"]
    assert runner.run(job, STAGE="pr-12", API_KEY="k") == 0
    assert runner.calls()[:2] == ["--stage pr-12 secret set API_KEY < k", "--stage pr-12"]


def test_the_version_of_a_rollback_is_passed_as_one_argument(jobs: dict[str, Job], tmp_path: Path) -> None:
    runner = Runner(tmp_path)
    runner.run(jobs["rollback"], VERSION="3; echo $(id)")
    assert runner.calls()[0] == "rollback 3; echo $(id)"


@pytest.mark.parametrize("name", COMMANDS)
def test_a_failed_step_fails_the_job(jobs: dict[str, Job], tmp_path: Path, name: str) -> None:
    for step in read_scripts(jobs[name]):
        assert Runner(tmp_path).step(step, STAGE="pr-12", FAILS="1") != 0, step


def read_scripts(job: Job) -> Iterator[str]:
    """Yield the scripts of the steps."""
    yield from (step["run"] for step in job["steps"] if "run" in step)


class Runner:
    """Run the scripts of a job like a runner of GitHub, with STUB in place of the deploy tool."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "deploy.sh").write_text(STUB, "utf-8")
        (folder / "deploy.sh").chmod(0o644)  # as a commit of Git for Windows stores it

    def run(self, job: Job, **variables: str) -> int:
        """Run all scripts until one fails. Return the last exit code."""
        return next((code for script in read_scripts(job) if (code := self.step(script, **variables))), 0)

    def step(self, script: str, **variables: str) -> int:
        (self._folder / "step.sh").write_text(script, "utf-8")
        files = {name: str(self._folder / name) for name in ("CALLS", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        environment = {"PATH": "/usr/bin:/bin"} | files | variables
        command = ["bash", "-e", "step.sh"]
        return subprocess.run(command, cwd=self._folder, env=environment, stdin=subprocess.DEVNULL).returncode

    def read(self, name: str) -> str:
        return (self._folder / name).read_text("utf-8")

    def calls(self) -> list[str]:
        """Return the arguments and the standard input of each call."""
        calls = self.read("CALLS").split("called\n")[1:]
        lines = [call.replace("argument ", "").replace("input ", "< ").split("\n") for call in calls]
        return [" ".join(word for word in words if word) for words in lines]
