"""Follow the recipes of a generated project: create their new files, apply their changes, and deploy the result."""

import base64
import json
import os
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedded_aws import Clock, EmbeddedAws
from scripts.projects import CHOICES, COMBINATIONS, MANIFEST, TEMPLATE, Project
from tests.support.deploy_tool import DeployTool, database_for, push_image, remaining_resources
from tests.support.deployed_stage import NAME
from tests.support.sample_queue import wait_until

MOVE_IN = "Move an existing FastAPI service into this project"
WEBHOOK_KEY = b"a key of the sender and of its receiver"
DEFAULT = {option: CHOICES[option][0] for option in MANIFEST}
LARGEST = {option: CHOICES[option][-1] for option in MANIFEST}
DEPLOYED = COMBINATIONS if os.environ.get("EVERY_RECIPE") else [DEFAULT, LARGEST]

STEP = re.compile(r"`([\w./]+)`(?:, and after it `make lock`)?:\n\n```(\w+)\n(.*?)\n```\n", re.DOTALL)
IMPORT = re.compile(r"(from \S+ import )(.*)")
# The lines that `make lock` adds for a dependency of a recipe start with these names.
BOTO3 = ("boto3==", "botocore==", "jmespath==", "python-dateutil==", "s3transfer==", "six==", "urllib3==")
OPENTELEMETRY = (
    *("certifi==", "charset-normalizer==", "googleapis-common-protos==", "idna==", "opentelemetry-"),
    *("protobuf==", "requests==", "urllib3=="),
)
LOCKED = {'"boto3"': BOTO3, '"fastapi[opentelemetry]>=0.143"': OPENTELEMETRY}


@dataclass(frozen=True)
class Step:
    """A fenced block: the file that it changes, the language of the block, and its text."""

    file: str
    language: str
    text: str


def read_recipes(project: Project) -> dict[str, list[Step]]:
    """Return the steps of each recipe by its heading."""
    _, *sections = (project.path / "RECIPES.md").read_text("utf-8").split("\n## ")
    recipes = {}
    for section in sections:
        heading = section.partition("\n")[0]
        steps = [Step(*step) for step in STEP.findall(section)]
        fences = [line for line in section.splitlines() if line.startswith("```") and line not in ("```", "```sh")]
        assert len(steps) == len(fences), f"{heading}: a block does not name its file"
        recipes[heading] = steps
    return recipes


def read_commands(project: Project, heading: str) -> list[str]:
    """Return the lines of the `sh` blocks of a recipe."""
    (section,) = re.findall(
        rf"(?ms)^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", (project.path / "RECIPES.md").read_text("utf-8")
    )
    return [line for block in re.findall(r"(?ms)^```sh\n(.*?)^```", section) for line in block.splitlines()]


def follow(project: Project, steps: list[Step]) -> None:
    """Apply the steps. Raise AssertionError if the lines around a change are not in its file exactly once."""
    for step in steps:
        file = project.path / step.file
        if step.language != "diff":
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(step.text + "\n", "utf-8")
            continue
        text = file.read_text("utf-8")
        for hunk in step.text.split("\n@@\n"):
            text = apply_hunk(text, hunk.splitlines(), step.file)
        file.write_text(text, "utf-8")
        if step.file == "pyproject.toml":
            for dependency, packages in LOCKED.items():
                if f"+    {dependency}," in step.text:
                    add_to_lock(project.path, packages)


def follow_all(project: Project) -> Project:
    """Follow all recipes except the one that replaces the application."""
    for heading, steps in read_recipes(project).items():
        if heading != MOVE_IN:
            follow(project, steps)
    return project


def apply_hunk(text: str, hunk: list[str], file: str) -> str:
    """Return the text with a hunk applied, or unchanged if an earlier recipe has applied the same hunk."""
    old = "".join(f"{line[1:]}\n" for line in hunk if not line.startswith("+"))
    new = "".join(f"{line[1:]}\n" for line in hunk if not line.startswith("-"))
    lines = f"\n{text}"
    imports = [match for line in hunk if (match := IMPORT.match(line[1:]))]
    if f"\n{old}" not in lines and len(hunk) == len(imports) == 2:
        old, new = extend_import(text, [(match[1], match[2].split(", ")) for match in imports])
    if f"\n{new}" in lines and len(new) > len(old):
        return text
    assert lines.count(f"\n{old}") == 1, f"{file} does not contain these lines exactly once:\n{old}"
    return lines.replace(f"\n{old}", f"\n{new}", 1)[1:]


def extend_import(text: str, imports: list[tuple[str, list[str]]]) -> tuple[str, str]:
    """Return the line and its replacement for an import to which another recipe has added names."""
    (start, before), (_, after) = imports
    line = next(line for line in text.splitlines() if line.startswith(start))
    names = {*line.removeprefix(start).split(", "), *after} - ({*before} - {*after})
    return f"{line}\n", f"{start}{', '.join(sorted(names))}\n"


def add_to_lock(project: Path, packages: tuple[str, ...]) -> None:
    """Do what `make lock` does for new dependencies of the service. `packages` are the starts of the lines to add."""
    versions = [block for block in read_lock(TEMPLATE / "requirements.txt") if block.startswith(packages)]
    for name in ("requirements.txt", "requirements-dev.txt"):
        existing = read_lock(project / name)
        names = {block.partition("==")[0] for block in existing}
        added = [block for block in versions if block.partition("==")[0] not in names]
        (project / name).write_text("".join(sorted([*existing, *added])), "utf-8")


def read_lock(file: Path) -> list[str]:
    """Return the lines of each package in a locked file."""
    return re.split(r"(?m)^(?=[a-z])", file.read_text("utf-8"))[1:]


def copy_generated_files(project: Project, folder: Path) -> Project:
    """Copy only the generated files, and link the project's .venv."""
    for name in project.files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(project.path / name, folder / name)
    (folder / ".venv").symlink_to(project.path / ".venv")
    return Project(folder, project.answers, project.files)


@dataclass
class RecipeService:
    """A deployed service that was built with recipes."""

    aws: EmbeddedAws
    project: Project
    deploy: DeployTool
    url: str
    image: str

    def request(
        self, path: str, body: bytes | None = None, method: str | None = None, **headers: str
    ) -> tuple[int, bytes]:
        """Send a request, and return the status and the body of the response."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(
            self.url + path, body, {"content-type": "application/json", **named}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def log_records(self, text: str) -> list[dict[str, Any]]:
        """Return the log records that contain a text."""
        lines = self.aws.log_messages(f"/aws/lambda/{NAME}")
        return [json.loads(line) for line in lines if text in line]

    def wait_for_log_records(self, text: str, count: int = 1) -> list[dict[str, Any]]:
        """Return the log records that contain a text. Wait up to 60 s until there are `count` of them."""
        with suppress(AssertionError):
            wait_until(lambda: len(self.log_records(text)) >= count)
        records = self.log_records(text)
        assert len(records) >= count, f"{text!r} is not in the logs {count} times: {records}"
        return records


@contextmanager
def deployed(
    project: Project, secrets: dict[str, str] | None = None, clock: Clock | None = None
) -> Iterator[RecipeService]:
    """Deploy a project. At the end, destroy it and check that no resource remains."""
    with EmbeddedAws(clock=clock) as aws, database_for(project, aws):
        deploy, image = DeployTool(project, aws), push_image(project, aws)
        for name, value in (secrets or {}).items():
            assert deploy("secret", "set", name, typed=value).code == 0
        run = deploy("--image", image)
        assert run.code == 0, run.err
        yield RecipeService(aws, project, deploy, run.url, image)
        run = deploy("destroy", typed=f"{NAME}\n")
        assert run.out.endswith("\n0 left\n"), run.err
        assert remaining_resources(aws) == []
        assert aws.client("s3").list_buckets()["Buckets"] == []


@contextmanager
def deployed_with_every_recipe(project: Project, folder: Path, clock: Clock | None = None) -> Iterator[RecipeService]:
    """Deploy a copy of the project, in this folder, to which all recipes are applied."""
    secret = "whsec_" + base64.b64encode(WEBHOOK_KEY).decode()
    with deployed(follow_all(copy_generated_files(project, folder)), {"WEBHOOK_SECRET": secret}, clock) as service:
        yield service
