"""Check every link, file, setting and command in the documents of a generated project.

`test_the_commands_of_the_readme_work_in_their_order` runs the commands of `TYPED`. `TESTED_BY` names the tests that run
the other commands.
"""

import ast
import itertools
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from embedded_aws import EmbeddedAws, ManualClock
from embedded_aws.calls import Call
from scripts.deploy_tool import Run
from scripts.projects import CHOICES, COMBINATIONS, MANIFEST, PRICES, TEMPLATE, Answers, Project, combination_name
from tests.support.bake import Bake
from tests.support.deploy_tool import DeployTool, database_for, push_image, remaining_resources
from tests.support.deployed_stage import NAME
from tests.support.markdown import heading_anchors

DOCUMENTS = ("README.md", "RECIPES.md", "AGENTS.md")
CREATED_LATER = ("app/jobs.py", "app/model.onnx", "shop/", "src/", ".venv")
COMMAND = re.compile(r"(?:\./deploy\.sh|make|aws|git|API_KEY=test make)\b[^`]*")
MONTH_S = 30 * 24 * 3600
CODE_BLOCK = re.compile(r"(?ms)^```.*?^```$")

# Commands that are run below, with what is typed at their prompts; `database` is the URL of the test's database.
TYPED = {
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
# Patterns of the other commands, each with the file, or the test in it, that runs the command.
TESTED_BY = {
    r"(rm -r|cp -R) .*": "tests/project/test_recipe_move_in.py::test_a_moved_service_responds_as_with_uvicorn",
    r"\./deploy\.sh jobs( retry)?": "tests/project/test_recipe_jobs.py::test_a_failed_job_is_kept_and_run_again",
    r"make run|API_KEY=test make run": "tests/project/test_makefile.py::test_make_run_serves_the_application",
    r'make test( ARGS="-k predict")?': "tests/project/test_generated_tests.py::test_the_tests_of_a_project_pass",
    r'make migration( m="price of an item")?': "tests/deploy_tool/test_migrations.py",
    r"make help": "tests/project/test_makefile.py::test_make_help_lists_every_target",
    r"make check": "tests/project/test_make_check.py::test_a_generated_project_has_no_problems",
    r"make lint": "tests/project/test_makefile.py::test_make_lint_passes",
    r"make lock": "tests/template/test_lock.py",
    r"\./deploy\.sh completion bash": "tests/deploy_tool/test_completion.py",
    r"\./deploy\.sh --rebuild": "tests/deploy_tool/test_rebuild.py",
    r"\./deploy\.sh doctor": "tests/deploy_tool/test_doctor.py",
    r"\./deploy\.sh github (OWNER/REPO|--remove)": "tests/deploy_tool/test_github.py",
    r"\./deploy\.sh --stage pr-12 destroy": "scripts/acceptance_scenario.py",
    r"\./deploy\.sh migrate upgrade": "tests/deploy_tool/test_migrations.py",
    r"\./deploy\.sh secret set WEBHOOK_SECRET": "tests/support/recipes.py::deployed_with_every_recipe",
}
NOT_TESTED = {"aws configure", "aws login", "aws sso login"}  # they ask a person, or open a browser

in_every_combination = pytest.mark.parametrize("answers", COMBINATIONS, ids=combination_name)
in_default_and_largest = pytest.mark.parametrize(
    "answers", [{option: CHOICES[option][index] for option in MANIFEST} for index in (0, -1)], ids=combination_name
)


def read(project: Project, name: str) -> str:
    return (project.path / name).read_text("utf-8")


def list_commands(text: str) -> list[str]:
    """Return every command of a document in its order: the lines of `sh` blocks, and commands in back quotes."""
    commands = []
    for token in MarkdownIt("gfm-like", {"linkify": False}).parse(text):
        if token.type == "fence" and token.info == "sh":
            lines = token.content.splitlines()
            commands += [line.split("  #")[0].rstrip() for line in lines if not line.startswith("#")]
        for child in token.children or ():
            if child.type == "code_inline" and COMMAND.fullmatch(child.content):
                commands.append(child.content)
    return [command for command in commands if command]


@in_every_combination
def test_the_documents_are_short_and_fit_the_screen(bake: Bake, answers: Answers) -> None:
    project = bake(**answers)
    assert len(read(project, "README.md").splitlines()) <= 200
    for name in DOCUMENTS:
        text = re.sub(r"(?ms)^```diff\n.*?^```$", "", read(project, name))  # lines of other files
        assert [line for line in text.splitlines() if len(line) > 120] == [], name


def test_the_readme_links_to_the_guide_of_the_template(bake: Bake) -> None:
    links = re.findall(r"\]\((https://github.com/<org>/[^)\s]+)\)", read(bake(), "README.md"))
    assert [link.partition("/blob/main/")[2] for link in links] == ["docs/change-an-answer.md"]
    assert (TEMPLATE / "docs/change-an-answer.md").exists()


@in_every_combination
def test_every_link_has_a_target(bake: Bake, answers: Answers) -> None:
    project = bake(**answers)
    broken = []
    for name in DOCUMENTS:
        for link in re.findall(r"\]\(([^)\s]+)\)", CODE_BLOCK.sub("", read(project, name))):
            if link.startswith("https://"):
                continue
            path, _, anchor = link.partition("#")
            file = path or name
            if file not in project.files or (anchor and anchor not in heading_anchors(read(project, file))):
                broken.append(link)
    assert broken == []


@in_every_combination
def test_every_file_in_the_text_exists(bake: Bake, answers: Answers) -> None:
    project = bake(**answers)
    for name in DOCUMENTS:
        text = read(project, name)
        listed = re.findall(r"(?m)^([\w.-]+/[\w./-]*|[\w-]+\.\w+) {2,}\S", text)
        quoted = re.findall(r"`((?:\w+/)+[\w.]*|[\w-]+\.(?:toml|py|sh|md))`", text)
        created_by_a_recipe = re.findall(r"`([\w./]+)`:\n\n```python", text)
        for file in {*listed, *quoted} - {*created_by_a_recipe}:
            assert file.startswith(CREATED_LATER) or (project.path / file).exists(), f"{name}: {file}"


@in_every_combination
def test_the_settings_of_the_readme_are_valid(bake: Bake, tmp_path: Path, answers: Answers) -> None:
    project = bake(**answers)
    load = load_function(project)
    (block,) = re.findall(r"```toml\n(.*?)```", read(project, "README.md"), re.DOTALL)
    (tmp_path / "deploy.toml").write_text(f"{read(project, 'deploy.toml')}\n{block}", "utf-8")
    config: Any = load(tmp_path / "deploy.toml", "prod")
    assert config.jobs.module == "app.jobs"
    assert list(config.jobs.schedule) == ["nightly"]


@in_default_and_largest
def test_the_job_of_the_readme_can_be_queued(bake: Bake, answers: Answers) -> None:
    project = bake(**answers)
    readme = read(project, "README.md")
    (job,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    (statement,) = re.findall(r"`(await .*?)`", readme)
    code = f"""
import asyncio
from aws_lambda.jobs import job, record_jobs
{job}
async def route():
    {statement}
with record_jobs() as jobs:
    asyncio.run(route())
assert [(job.name, list(job.arguments)) for job in jobs] == [("send_receipt", ["order_id", "email"])], jobs
"""
    project.run(["python", "-c", code])


def test_the_costs_without_requests_match_the_price_list(bake: Bake) -> None:
    (paragraph,) = re.findall(r"(?ms)^\*\*Monthly costs without requests.*?\n\n", read(bake(), "README.md"))
    polls = 5 * MONTH_S / 20  # five long polls of 20 s, see deploy/resources/event_source_mapping.py
    assert f"about {round(polls, -4):,.0f} times" in paragraph
    assert f"${polls / 1_000_000 * PRICES['sqs']['million_requests']:.2f} beyond the free million" in paragraph
    assert PRICES["sqs"]["free_requests"] == 1_000_000
    assert f"alarm, ${PRICES['cloudwatch']['alarm']:.2f}" in paragraph.replace("\n", " ")


def load_function(project: Project) -> Callable[..., object]:
    """Return the function of the deploy tool that reads deploy.toml."""
    with EmbeddedAws() as aws:
        DeployTool(project, aws)
    load: Callable[..., object] = sys.modules["deploy.config"].load
    return load


@in_every_combination
def test_every_command_is_run_by_a_test(bake: Bake, answers: Answers) -> None:
    project = bake(**answers)
    commands = {command for name in DOCUMENTS for command in list_commands(read(project, name))}
    untested = commands - NOT_TESTED - TYPED.keys()
    assert [command for command in untested if not any(re.fullmatch(pattern, command) for pattern in TESTED_BY)] == []


def test_the_tests_of_the_other_commands_exist() -> None:
    for test in TESTED_BY.values():
        file, _, name = test.partition("::")
        tree = ast.parse((TEMPLATE / file).read_text("utf-8"))
        assert not name or name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, test


@in_default_and_largest
def test_the_commands_of_the_readme_work_in_their_order(bake: Bake, tmp_path: Path, answers: Answers) -> None:
    project = bake(**answers).copy(tmp_path)
    commands = [command for command in list_commands(read(project, "README.md")) if command in TYPED]
    with EmbeddedAws(clock=ManualClock()) as aws, database_for(project, aws) as database:
        deploy = DeployTool(project, aws)
        release(project, deploy, aws)  # the release to which `rollback` returns
        project.edit("app/routers/health.py", '"healthy"', '"well"')
        for command in dict.fromkeys(commands):
            arguments = shlex.split(command)[1:]
            if command == "./deploy.sh":
                run = release(project, deploy, aws)
            elif command.startswith("./deploy.sh destroy"):
                continue
            elif command.endswith(" -f"):
                run = run_until_ctrl_c(deploy, *arguments)
                assert "GET /" in run.out
            else:
                typed = {"database": database}.get(TYPED[command], TYPED[command])
                run = deploy(*arguments, typed=typed)
                assert run.code == 0, f"{command}: {run.err}"
        purge = ["--purge"] if answers["secrets"] == "secrets_manager" else []
        destroyed = deploy("destroy", *purge, typed=TYPED["./deploy.sh destroy"])
        assert destroyed.out.endswith("\n0 left\n"), destroyed.err
        assert remaining_resources(aws) == []


def release(project: Project, deploy: DeployTool, aws: EmbeddedAws) -> Run:
    run = deploy("--image", push_image(project, aws))
    assert run.code == 0, run.err
    return run


def run_until_ctrl_c(deploy: DeployTool, *arguments: str) -> Run:
    """Run a command that runs until it is interrupted. Interrupt it after it has read the logs for the third time."""
    reads = itertools.count(1)

    def interrupt(call: Call, number: int, when: str) -> None:
        if call.operation == "FilterLogEvents" and when == "after" and next(reads) == 3:
            raise KeyboardInterrupt

    remove_hook = deploy.aws.hook(interrupt)
    run = deploy(*arguments)
    remove_hook()
    assert run.code == 130
    return run
