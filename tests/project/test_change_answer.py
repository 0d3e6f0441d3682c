"""Change the answers of deployed projects with the commands of docs/change-an-answer.md."""

import dataclasses
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from embedded_aws import EmbeddedAws, ManualClock
from embedded_aws.calls import Call
from scripts.database import postgres
from scripts.deploy_tool import Run
from scripts.project_changes import add_secret
from scripts.projects import (
    CHOICES,
    MANIFEST,
    PROJECT_TEMPLATE,
    PROMPTS,
    TEMPLATE,
    Answers,
    Project,
    project_environment,
    share_venv,
)
from tests.support.bake import Bake
from tests.support.deploy_tool import DeployTool, push_image, remaining_resources

GUIDE = TEMPLATE / "docs/change-an-answer.md"
SECTION = re.compile(r"`(?P<option>\w+)`: from `(?P<old>\w+)` to `(?P<new>\w+)`(?: or `(?P<other>\w+)`)?")
OWNER = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Owner"), ("EMAIL", "owner@example.com"))
} | {"GIT_CONFIG_GLOBAL": os.devnull}
BEFORE = "    openapi_url="
OWN_LINE = '    version="2.0.0",\n'


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template as a repository that can be cloned."""
    folder = tmp_path_factory.mktemp("template")
    shutil.copy(TEMPLATE / "cookiecutter.json", folder)
    for part in (TEMPLATE / "hooks", PROJECT_TEMPLATE):
        shutil.copytree(part, folder / part.name, ignore=shutil.ignore_patterns("__pycache__"))
    commit(folder)
    return folder


def commit(folder: Path) -> None:
    for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "all"]):
        subprocess.run(["git", *command], cwd=folder, env=os.environ | OWNER, check=True)


def linked(project: Project, template: Path, *options: str) -> Project:
    """The project as its owner has it in git, with the record that `cruft link` makes of the answers."""
    commit(project.path)
    answers = json.dumps(project.answers)
    project.run(["cruft", "link", str(template), "--no-input", "--extra-context", answers, *options])
    commit(project.path)
    return project


def created(folder: Path, template: Path, *options: str) -> Project:
    """The project as `cruft create` makes it, with that record."""
    folder.mkdir()
    command = [sys.executable, "-m", "cruft", "create", template.as_uri(), "--no-input", *options]
    subprocess.run(command, cwd=folder, env=project_environment(folder), check=True)
    (path,) = folder.iterdir()
    share_venv(path)
    return Project(path, {}, ())


def change(project: Project, answers: Answers) -> None:
    project.run(["cruft", "update", "--skip-apply-ask", "--variables-to-update", json.dumps(answers)])
    commit(project.path)


def with_a_route(project: Project) -> Project:
    """The project with something that its owner wrote in a file of the template."""
    file = project.path / "app/main.py"
    file.write_text(file.read_text("utf-8").replace(BEFORE, OWN_LINE + BEFORE), encoding="utf-8")
    (project.path / "app/mine.py").write_text("MINE = True\n", encoding="utf-8")
    return project


def contents(project: Project) -> dict[str, tuple[int, bytes]]:
    """Mode and bytes of every file, but those of git and cruft."""
    files = [file for file in project.path.rglob("*") if file.is_file()]
    names = {file.relative_to(project.path).as_posix(): file for file in files}
    return {
        name: (file.stat().st_mode, file.read_bytes())
        for name, file in names.items()
        if not name.startswith((".git/", ".venv/", ".cruft.json"))
    }


@pytest.mark.parametrize(
    "other",
    [{"endpoint": "http_api"}, {option: choices[-1] for option, choices in CHOICES.items()}],
    ids=lambda answers: "-".join(answers.values()),
)
def test_the_files_are_those_of_a_project_made_anew_with_the_owners_own(
    bake: Bake, tmp_path: Path, template: Path, other: dict[str, str]
) -> None:
    first = {option: CHOICES[option][0] for option in other}
    project = with_a_route(linked(bake(**first).copy(tmp_path / "project"), template))
    commit(project.path)
    for number, answers in enumerate((other, first)):
        change(project, answers)
        anew = with_a_route(bake(**answers).copy(tmp_path / str(number)))
        made, wanted = contents(project), contents(anew)
        assert {name for name in made.keys() | wanted.keys() if made.get(name) != wanted.get(name)} == set()


def test_a_project_of_one_release_follows_to_the_next(tmp_path: Path, template: Path) -> None:
    releases = tmp_path / "releases"
    shutil.copytree(template, releases)
    project = with_a_route(created(tmp_path / "project", releases, "--checkout", tag(releases, "v1.0.0")))
    commit(project.path)
    generated = releases / PROJECT_TEMPLATE.name
    main = generated / "app/main.py"  # the owner's route is near its end
    main.write_text("# of release 1.1\n" + main.read_text("utf-8"), "utf-8")
    (generated / "app/added.py").write_text("ADDED = True\n", encoding="utf-8")
    (generated / "app/iris.json").unlink()
    commit(releases)
    tag(releases, "v1.1.0")
    (generated / "app/unreleased.py").write_text("", encoding="utf-8")
    commit(releases)

    updated = project.run(["cruft", "update", "--skip-apply-ask", "--checkout", "v1.1.0"])
    cookiecutter = [
        "cookiecutter",
        "--checkout",
        "v1.1.0",
        f"git+{releases.as_uri()}",
        "--default-config",
        "--no-input",
    ]
    baked = project.run([*cookiecutter, "-o", str(tmp_path / "anew")])
    assert "Next steps:" in baked.stdout
    assert "Next steps:" not in updated.stdout
    anew = with_a_route(Project(tmp_path / "anew" / project.path.name, {}, ()))
    assert not (anew.path / "app/iris.json").exists()
    assert contents(project) == contents(anew)


def tag(folder: Path, name: str) -> str:
    subprocess.run(["git", "tag", name], cwd=folder, check=True)
    return name


def sections() -> dict[tuple[str, str, str], str]:
    """Return the text of the guide by option, old answer and new answer."""
    texts = {}
    for section in GUIDE.read_text("utf-8").split("\n## ")[1:]:
        heading, _, text = section.partition("\n")
        if match := SECTION.fullmatch(heading):
            for new in filter(None, (match["new"], match["other"])):
                assert (match["option"], match["old"], new) not in texts, heading
                texts[match["option"], match["old"], new] = text
    return texts


def test_the_guide_has_a_section_for_every_change_of_an_option() -> None:
    changes = {(o, old, new) for o, choices in MANIFEST.items() for old, new in itertools.permutations(choices, 2)}
    assert sections().keys() == changes


def test_the_guide_names_every_other_prompt() -> None:
    free_text = {"project_name", "description"}  # only the files that contain them change
    rest = {name for name in PROMPTS if not name.startswith("_")} - MANIFEST.keys() - free_text
    headings = "\n".join(re.findall(r"(?m)^## .*", GUIDE.read_text("utf-8")))
    assert [name for name in rest if f"`{name}`" not in headings] == []


class DeployedProject:
    """A project in git, linked to its template, whose service is live."""

    def __init__(self, project: Project, aws: EmbeddedAws) -> None:
        self.project = project
        self.aws = aws
        self.url = ""
        self.database = ""
        self.answers = {option: project.answers.get(option, CHOICES[option][0]) for option in MANIFEST}
        self._environment = project_environment(project.path) | OWNER | aws.environ

    def deploy_sh(self, *arguments: str, typed: str = "") -> Run:
        run = DeployTool(self.project, self.aws)(*arguments, typed=typed)
        assert run.code == 0, run.out + run.err
        return run

    def deploy(self) -> None:
        self.url = self.deploy_sh("--image", push_image(self.project, self.aws)).url

    def change(self, option: str, choice: str) -> Iterator[str]:
        """Run the commands of the guide for this change, line by line, and yield each comment."""
        section = sections()[option, self.answers[option], choice]
        self.answers[option] = choice
        yield from self.follow(section, choice)

    def follow(self, section: str, choice: str) -> Iterator[str]:
        """Run the commands of a section, with this choice in place of its example, and yield each comment."""
        commands = section.partition("```sh\n")[2].partition("```")[0].replace("\\\n", "").replace("|\n", "|")
        assert section.count("```sh\n") == 1
        for line in commands.splitlines():
            if setting := re.fullmatch(r"# deploy\.toml: (\w+) = (\w+)", line):
                file = self.project.path / "deploy.toml"
                old, new = rf"(?m)^{setting[1]} = \w+", f"{setting[1]} = {setting[2]}"
                text, count = re.subn(old, new, file.read_text("utf-8"), count=1)
                assert count == 1, line
                file.write_text(text, encoding="utf-8")
            elif line.startswith("#"):
                yield line
            elif line == "./deploy.sh":
                self.deploy()
            else:
                self._run(re.sub(r'(?<={"cold_starts": ")\w+', choice, line))

    def _run(self, line: str) -> None:
        done = subprocess.run(
            ["/bin/sh", "-ec", line],
            cwd=self.project.path,
            env=self._environment,
            input=self.database if line.endswith("DATABASE_URL") else "y\n",
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, line + done.stdout + done.stderr
        if line.startswith("cruft "):
            commit(self.project.path)
            share_venv(self.project.path)

    def get(self, path: str = "", *, url: str = "", cold: bool = False) -> object:
        """The answer; `cold`: of an execution environment that starts for it."""
        for one in self.aws.environments() if cold else []:
            one.stop()
        with urllib.request.urlopen((url or self.url) + path, timeout=30) as answer:
            return json.load(answer)

    def live(self, version: str | None = None) -> dict[str, Any]:
        """The configuration of the version that is live, after a rollback to another if given."""
        functions = self.aws.client("lambda")
        if version:
            functions.update_alias(FunctionName="my-api-prod", Name="live", FunctionVersion=version)
        found: dict[str, Any] = functions.get_function_configuration(FunctionName="my-api-prod", Qualifier="live")
        return found

    def left(self) -> list[str]:
        """What there is after ./deploy.sh destroy."""
        assert self.deploy_sh("destroy", typed="my-api-prod\n").out.endswith("\n0 left\n")
        return remaining_resources(self.aws)


@pytest.fixture
def stage(bake: Bake, tmp_path: Path, template: Path) -> Iterator[DeployedProject]:
    with EmbeddedAws(clock=ManualClock()) as aws:
        yield DeployedProject(linked(bake().copy(tmp_path / "project"), template), aws)


def test_architecture(stage: DeployedProject) -> None:
    stage.deploy()
    (section,) = (text for text in GUIDE.read_text("utf-8").split("\n## ") if text.startswith("Without further"))
    stage.project = dataclasses.replace(stage.project, answers={"architecture": "x86_64"})  # of the image
    assert list(stage.follow(section, "x86_64")) == []
    assert stage.live()["Architectures"] == ["x86_64"]
    assert stage.get() == {"ok": True}
    assert stage.left() == []


def test_endpoint(stage: DeployedProject) -> None:
    stage.deploy()
    for other in ("http_api", "function_url"):
        former = stage.url
        for comment in stage.change("endpoint", other):
            assert comment.startswith("# when no client calls")
            assert stage.url != former
            assert stage.get() == stage.get(url=former) == {"ok": True}
        assert stage.get() == {"ok": True}
        with pytest.raises(urllib.error.URLError, match="refused"):
            stage.get(url=former)
        policy = stage.aws.client("lambda").get_policy(FunctionName="my-api-prod", Qualifier="live")["Policy"]
        statements = {statement["Sid"] for statement in json.loads(policy)["Statement"]}
        assert statements == ({"http-api"} if other == "http_api" else {"public-url", "public-invoke"})
    assert stage.left() == []


def test_secrets(stage: DeployedProject) -> None:
    add_secret(stage.project)
    commit(stage.project.path)
    stage.deploy_sh("secret", "set", "API_KEY", typed="value")
    stage.deploy()
    mark = stage.get("mark")

    def during_the_deploy(call: Call, number: int, when: str) -> None:
        if (call.operation, when) == ("UpdateAlias", "before") and call.params["FunctionVersion"] == new:
            assert stage.get("mark", cold=True) == mark

    for number, other in enumerate(("secrets_manager", "ssm"), 1):
        old, new = str(number), str(number + 1)
        remove = stage.aws.hook(during_the_deploy)
        for comment in stage.change("secrets", other):
            if comment.startswith("# when you no longer need to roll back"):
                remove()
                for version in (old, new):
                    stage.live(version)
                    assert stage.get("mark", cold=True) == mark
        assert stage.get("mark", cold=True) == mark
        assert stage.aws.client("iam").list_role_policies(RoleName="my-api-prod")["PolicyNames"] == ["service"]
        parameters = stage.aws.client("ssm").describe_parameters()["Parameters"]
        secrets = stage.aws.client("secretsmanager").list_secrets()["SecretList"]
        assert (len(parameters), len(secrets)) == ((0, 1) if other == "secrets_manager" else (1, 0))
    assert stage.left() == []


def test_migrations(stage: DeployedProject) -> None:
    stage.deploy()
    with postgres() as stage.database:
        assert list(stage.change("migrations", "alembic")) == []
        assert stage.get("items") == {"items": [], "next": None}
        for comment in stage.change("migrations", "none"):
            assert comment.startswith("# when you no longer need to roll back")
            assert stage.get() == {"ok": True}
            stage.live("2")
            assert stage.get("items", cold=True) == {"items": [], "next": None}
            stage.live("3")
        with psycopg.connect(stage.database) as connection:
            assert connection.execute("SELECT count(*) FROM items").fetchone() == (0,)
    assert stage.deploy_sh("secret", "list").out == "No secrets in stage prod.\n"
    assert stage.left() == []


def test_cold_starts(stage: DeployedProject) -> None:
    stage.deploy()
    accept, snapstart, provisioned = CHOICES["cold_starts"]
    changes = [snapstart, provisioned, accept, provisioned, snapstart, accept]
    assert set(itertools.pairwise([accept, *changes])) == set(itertools.permutations(CHOICES["cold_starts"], 2))
    for other in changes:
        assert list(stage.change("cold_starts", other)) == []
        assert stage.get() == {"ok": True}
        live = stage.live()
        assert live["SnapStart"]["ApplyOn"] == ("PublishedVersions" if other == snapstart else "None")
        held = stage.aws.client("lambda").list_provisioned_concurrency_configs(FunctionName="my-api-prod")
        versions = [config["FunctionArn"].rpartition(":")[2] for config in held["ProvisionedConcurrencyConfigs"]]
        assert versions == ([live["Version"]] if other == provisioned else [])
    assert stage.left() == []
