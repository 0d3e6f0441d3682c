"""Read docs/change-an-answer.md, and run its commands in a deployed project that is linked to the template."""

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from embedded_aws import EmbeddedAws
from scripts.deploy_tool import Run
from scripts.projects import (
    CHOICES,
    MANIFEST,
    PROJECT_TEMPLATE,
    TEMPLATE,
    Answers,
    Project,
    project_environment,
    share_venv,
)
from tests.support.deploy_tool import DeployTool, push_image, remaining_resources

GUIDE = TEMPLATE / "docs/change-an-answer.md"
HEADING = re.compile(r"`(?P<option>\w+)`: from `(?P<old>\w+)` to `(?P<new>\w+)`(?: or `(?P<other>\w+)`)?")
GIT_IDENTITY = {
    f"GIT_{role}_{key}": value
    for role in ("AUTHOR", "COMMITTER")
    for key, value in (("NAME", "Owner"), ("EMAIL", "owner@example.com"))
} | {"GIT_CONFIG_GLOBAL": os.devnull}


def guide_sections() -> dict[tuple[str, str, str], str]:
    """Return the text of the guide by option, old answer and new answer."""
    sections = {}
    for section in GUIDE.read_text("utf-8").split("\n## ")[1:]:
        heading, _, text = section.partition("\n")
        if match := HEADING.fullmatch(heading):
            for new in filter(None, (match["new"], match["other"])):
                assert (match["option"], match["old"], new) not in sections, heading
                sections[match["option"], match["old"], new] = text
    return sections


def create_template_repository(folder: Path) -> Path:
    """Copy the template into a git repository that cruft can clone."""
    shutil.copy(TEMPLATE / "cookiecutter.json", folder)
    for part in (TEMPLATE / "hooks", PROJECT_TEMPLATE):
        shutil.copytree(part, folder / part.name, ignore=shutil.ignore_patterns("__pycache__"))
    commit(folder)
    return folder


def commit(folder: Path) -> None:
    """Commit all files of a folder, in a new repository if it is not one yet."""
    for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "all"]):
        subprocess.run(["git", *command], cwd=folder, env=os.environ | GIT_IDENTITY, check=True)


def link_project(project: Project, template: Path) -> Project:
    """Commit the project, and record its template and answers with `cruft link`."""
    commit(project.path)
    answers = json.dumps(project.answers)
    project.run(["cruft", "link", str(template), "--no-input", "--extra-context", answers])
    commit(project.path)
    return project


def create_project(folder: Path, template: Path, *options: str) -> Project:
    """Generate a project with `cruft create`, which records its template and answers."""
    folder.mkdir()
    command = [sys.executable, "-m", "cruft", "create", template.as_uri(), "--no-input", *options]
    subprocess.run(command, cwd=folder, env=project_environment(folder), check=True)
    (path,) = folder.iterdir()
    share_venv(path)
    return Project(path, {}, ())


def change_answers(project: Project, answers: Answers) -> None:
    """Change the answers with `cruft update`, and commit the result."""
    project.run(["cruft", "update", "--skip-apply-ask", "--variables-to-update", json.dumps(answers)])
    commit(project.path)


class LinkedService:
    """A project in git that is linked to its template, and its deployed service.

    `database` is the URL that is entered for the secret DATABASE_URL.
    """

    def __init__(self, project: Project, aws: EmbeddedAws) -> None:
        self.project = project
        self.aws = aws
        self.url = ""
        self.database = ""
        self.answers = {option: project.answers.get(option, CHOICES[option][0]) for option in MANIFEST}
        self._environment = project_environment(project.path) | GIT_IDENTITY | aws.environ

    def deploy_sh(self, *arguments: str, typed: str = "") -> Run:
        """Run the deploy tool. Raise AssertionError if it fails."""
        run = DeployTool(self.project, self.aws)(*arguments, typed=typed)
        assert run.code == 0, run.out + run.err
        return run

    def deploy(self) -> None:
        """Deploy the current code and settings."""
        self.url = self.deploy_sh("--image", push_image(self.project, self.aws)).url

    def change(self, option: str, choice: str) -> Iterator[str]:
        """Run the commands of the guide for this change, line by line, and yield each comment."""
        section = guide_sections()[option, self.answers[option], choice]
        self.answers[option] = choice
        yield from self.follow(section, choice)

    def follow(self, section: str, choice: str) -> Iterator[str]:
        """Run the commands of a section with this choice in place of its example, and yield each comment."""
        assert section.count("```sh\n") == 1
        commands = section.partition("```sh\n")[2].partition("```")[0].replace("\\\n", "").replace("|\n", "|")
        for line in commands.splitlines():
            if setting := re.fullmatch(r"# deploy\.toml: (\w+) = (\w+)", line):
                self._change_setting(setting[1], setting[2])
            elif line.startswith("#"):
                yield line
            elif line == "./deploy.sh":
                self.deploy()
            else:
                self._run(re.sub(r'(?<={"cold_starts": ")\w+', choice, line))

    def _change_setting(self, name: str, value: str) -> None:
        file = self.project.path / "deploy.toml"
        text, count = re.subn(rf"(?m)^{name} = \w+", f"{name} = {value}", file.read_text("utf-8"), count=1)
        assert count == 1, f"deploy.toml does not set {name}"
        file.write_text(text, encoding="utf-8")

    def _run(self, line: str) -> None:
        result = subprocess.run(
            ["/bin/sh", "-ec", line],
            cwd=self.project.path,
            env=self._environment,
            input=self.database if line.endswith("DATABASE_URL") else "y\n",
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, line + result.stdout + result.stderr
        if line.startswith("cruft "):
            commit(self.project.path)
            share_venv(self.project.path)

    def get(self, path: str = "", *, url: str = "", cold: bool = False) -> object:
        """Return the JSON of a response. If `cold`, stop all execution environments before the request."""
        if cold:
            for environment in self.aws.environments():
                environment.stop()
        with urllib.request.urlopen((url or self.url) + path, timeout=30) as response:
            return json.load(response)

    def set_live_version(self, version: str) -> None:
        """Point the alias to a version, as a rollback does."""
        client = self.aws.client("lambda")
        client.update_alias(FunctionName="my-api-prod", Name="live", FunctionVersion=version)

    def live_configuration(self) -> dict[str, Any]:
        """Return the configuration of the live version."""
        client = self.aws.client("lambda")
        configuration: dict[str, Any] = client.get_function_configuration(FunctionName="my-api-prod", Qualifier="live")
        return configuration

    def destroy(self) -> list[str]:
        """Run ./deploy.sh destroy, and return the resources that still exist."""
        assert self.deploy_sh("destroy", typed="my-api-prod\n").out.endswith("\n0 left\n")
        return remaining_resources(self.aws)
