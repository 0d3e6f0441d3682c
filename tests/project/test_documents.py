"""Check every link, file, setting and command in the documents of a generated project.

A command is run here, in the order of the text, or by the test that `ELSEWHERE` names.
"""

import ast
import contextlib
import itertools
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import tomllib
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from embedded_aws import EmbeddedAws, ManualClock
from embedded_aws.calls import Call
from scripts.deploy_tool import Run
from scripts.projects import (
    CHOICES,
    COMBINATIONS,
    MANIFEST,
    TEMPLATE,
    Answers,
    Project,
    combination_name,
    project_environment,
)
from tests.support.bake import Bake
from tests.support.deploy_tool import DeployTool, database_for, push_image, remaining_resources
from tests.support.deployed_stage import NAME
from tests.support.markdown import anchors

DOCUMENTS = ("README.md", "RECIPES.md", "AGENTS.md")
CREATED_LATER = ("app/model.onnx", "shop/", "tests/shop/", ".venv")
LINE = re.compile(r"(?:\./deploy\.sh|make|aws|git|API_KEY=test make)\b[^`]*")
# What is not run here: which test runs it.
ELSEWHERE = {
    r"make run|API_KEY=test make run": "test_generated_readme.py::test_make_run_serves_the_application",
    r'make test( ARGS="-k predict")?': "test_own_tests.py::test_own_tests_pass",
    r'make migration( m="price of an item")?': "test_migrations.py",
    r"make help": "test_first_minutes.py",
    r"make lint": "test_quality.py::test_its_own_lint_target_is_clean",
    r"make lock": "test_lock.py",
    r"\./deploy\.sh completion bash": "deploy_tool/test_completion.py",
    r"\./deploy\.sh --rebuild": "deploy_tool/test_rebuild.py",
    r"\./deploy\.sh doctor": "deploy_tool/test_doctor.py",
    r"\./deploy\.sh github (OWNER/REPO|--remove)": "deploy_tool/test_github.py",
    r"\./deploy\.sh --stage pr-12 destroy": "acceptance.py",
    r"\./deploy\.sh migrate upgrade": "deploy_tool/test_migrations.py",
    r"\./deploy\.sh secret set WEBHOOK_SECRET": "test_recipes.py::live",
}
NOT_OURS = {"aws configure"}  # asks a person for keys
FENCED = re.compile(r"(?ms)^```.*?^```$")
every_combination = pytest.mark.parametrize("answers", COMBINATIONS, ids=combination_name)
in_two = pytest.mark.parametrize(
    "answers", [{o: CHOICES[o][which] for o in MANIFEST} for which in (0, -1)], ids=combination_name
)


def text_of(project: Project, name: str) -> str:
    return (project.path / name).read_text("utf-8")


def commands(text: str) -> list[str]:
    """Every command in the text, in its order: of `sh` blocks, and in back quotes."""
    found = []
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(text)
    for token in tokens:
        if token.type == "fence" and token.info == "sh":
            found += [line.split("  #")[0].rstrip() for line in token.content.splitlines() if not line.startswith("#")]
        for child in token.children or ():
            if child.type == "code_inline" and LINE.fullmatch(child.content):
                found.append(child.content)
    return [line for line in found if line]


@every_combination
def test_the_readme_is_short_and_fits_the_screen(bake: Bake, answers: Answers) -> None:
    project = bake(**answers)
    assert len(text_of(project, "README.md").splitlines()) <= 200
    for name in DOCUMENTS:
        text = re.sub(r"(?ms)^```diff\n.*?^```$", "", text_of(project, name))  # lines of other files
        assert [line for line in text.splitlines() if len(line) > 120] == [], name


def test_the_readme_links_to_the_guide_of_the_template(bake: Bake) -> None:
    links = re.findall(r"\]\((https://github.com/<org>/[^)\s]+)\)", text_of(bake(), "README.md"))
    assert [link.partition("/blob/main/")[2] for link in links] == ["docs/change-an-answer.md"]
    assert (TEMPLATE / "docs/change-an-answer.md").exists()


@every_combination
def test_links_lead_somewhere(bake: Bake, answers: Answers) -> None:
    project = bake(**answers)
    wrong = []
    for name in DOCUMENTS:
        for target in re.findall(r"\]\(([^)\s]+)\)", FENCED.sub("", text_of(project, name))):
            file, _, anchor = target.partition("#")
            if not target.startswith("https://"):
                there = (file or name) in project.files
                wrong += [] if there and (not anchor or anchor in anchors(text_of(project, file or name))) else [target]
    assert wrong == []


@every_combination
def test_every_file_that_is_named_is_there(bake: Bake, answers: Answers) -> None:
    project = bake(**answers)
    for name in DOCUMENTS:
        text = text_of(project, name)
        listed = re.findall(r"(?m)^([\w.-]+/[\w./-]*|[\w-]+\.\w+) {2,}\S", text)
        quoted = re.findall(r"`((?:\w+/)+[\w.]*|[\w-]+\.(?:toml|py|sh|md))`", text)
        made = re.findall(r"`([\w./]+)`:\n\n```python", text)
        for file in {*listed, *quoted} - {*made}:
            assert file.startswith(CREATED_LATER) or (project.path / file).exists(), f"{name}: {file}"


@every_combination
def test_settings_in_it_are_taken(bake: Bake, tmp_path: Path, answers: Answers) -> None:
    project = bake(**answers)
    load = loader(project)
    blocks = re.findall(r"```toml\n(.*?)```", text_of(project, "README.md"), re.DOTALL)
    assert len(blocks) == (answers["endpoint"] == "http_api") + (answers["cold_starts"] == "provisioned_concurrency")
    for block in blocks:
        table = next(iter(tomllib.loads(block)))
        text = re.sub(rf"(?ms)^\[{table}\]\n.*?(?=^\[|\Z)", "", text_of(project, "deploy.toml"))
        (tmp_path / "deploy.toml").write_text(f"{text}\n{block}", "utf-8")
        assert getattr(load(tmp_path / "deploy.toml", "prod"), table)


def loader(project: Project) -> Callable[..., object]:
    with EmbeddedAws() as aws:
        DeployTool(project, aws)
    loaded: Callable[..., object] = sys.modules["deploy.config"].load
    return loaded


@every_combination
def test_every_command_is_run_by_a_test(bake: Bake, answers: Answers) -> None:
    project = bake(**answers)
    unknown = []
    for name in DOCUMENTS:
        for command in commands(text_of(project, name)):
            known = command in NOT_OURS or command in RUN_HERE
            if not known and not any(re.fullmatch(pattern, command) for pattern in ELSEWHERE):
                unknown.append(command)
    assert unknown == []


def test_the_tests_that_run_the_others_are_there() -> None:
    for where in ELSEWHERE.values():
        file, _, name = where.partition("::")
        tree = ast.parse((TEMPLATE / "tests" / file).read_text("utf-8"))
        assert not name or name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


RUN_HERE = {
    "./deploy.sh": "",
    "./deploy.sh plan": "",
    "./deploy.sh status": "",
    "./deploy.sh rollback": "",
    "./deploy.sh secret set NAME": "value",
    "./deploy.sh secret set API_KEY": "value",
    "./deploy.sh secret set DATABASE_URL": "database",
    "./deploy.sh cost": "",
    "./deploy.sh logs -f": "",
    "./deploy.sh logs --errors": "",
    "./deploy.sh destroy": f"{NAME}\n",
    "./deploy.sh destroy --purge": f"{NAME}\n",
}


@in_two
def test_commands_in_the_order_of_the_text(bake: Bake, tmp_path: Path, answers: Answers) -> None:
    project = bake(**answers).copy(tmp_path)
    text = text_of(project, "README.md")
    told = [command for command in commands(text) if command in RUN_HERE]
    with EmbeddedAws(clock=ManualClock()) as aws, database_for(project, aws) as database:
        deploy = DeployTool(project, aws)
        release(project, deploy, aws)  # so that there is one to go back to
        project.edit("app/routers/health.py", '"healthy"', '"well"')
        for command in dict.fromkeys(told):
            typed = {"database": database}.get(RUN_HERE[command], RUN_HERE[command])
            if command == "./deploy.sh":
                run = release(project, deploy, aws)
            elif command.startswith("./deploy.sh destroy"):
                continue
            elif command.endswith(" -f"):
                run = until_ctrl_c(deploy, *shlex.split(command)[1:])
                assert "GET /" in run.out
            else:
                run = deploy(*shlex.split(command)[1:], typed=typed)
            assert run.code == 0, f"{command}: {run.err}"
        purge = ["--purge"] if answers["secrets"] == "secrets_manager" else []
        gone = deploy("destroy", *purge, typed=RUN_HERE["./deploy.sh destroy"])
        assert gone.out.endswith("\n0 left\n"), gone.err
        assert remaining_resources(aws) == []


def release(project: Project, deploy: DeployTool, aws: EmbeddedAws) -> Run:
    run = deploy("--image", push_image(project, aws))
    assert run.code == 0, run.err
    return run


def until_ctrl_c(deploy: DeployTool, *arguments: str) -> Run:
    """A run that goes on for ever, ended when it has looked for the third time."""
    looks = itertools.count(1)

    def look(call: Call, number: int, when: str) -> None:
        if call.operation == "FilterLogEvents" and when == "after" and next(looks) == 3:
            raise KeyboardInterrupt

    remove = deploy.aws.hook(look)
    run = deploy(*arguments)
    remove()
    assert run.code == 130
    return Run(0, run.out, run.err)


def test_make_run_serves_the_application(bake: Bake) -> None:
    project = bake()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    variables = project_environment(project.path) | {"PORT": str(port)}
    with (
        subprocess.Popen(
            ["make", "run"], cwd=project.path, env=variables, stderr=subprocess.DEVNULL, start_new_session=True
        ) as server,
    ):
        try:
            assert json.loads(answer(f"http://127.0.0.1:{port}/")) == {"ok": True}
        finally:
            os.killpg(server.pid, signal.SIGTERM)


def answer(url: str) -> bytes:
    """Of a server that is starting."""
    for _ in range(300):
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as response:
            return bytes(response.read())
        time.sleep(0.05)
    raise AssertionError(f"{url} does not answer")
