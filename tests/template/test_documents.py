"""Check every link, command and figure in the documents of the template."""

import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from benchmarks import run as benchmark
from scripts import transcript
from scripts.projects import CHOICES, COMBINATIONS, PRICES, PROMPTS, TEMPLATE
from tests.support.bake import Bake
from tests.support.markdown import anchors

PAGES = ("README.md", "CONTRIBUTING.md", "benchmarks/README.md")
GUIDES = ("docs/change-an-answer.md",)  # test_change_answer.py runs their commands
PROGRAMS = ("make ", "./deploy.sh", "cookiecutter ", "cruft ", "cd ", "pipx ")
MONTH_S = 30 * 24 * 3600

# External links, and when each was last looked up: by hand, since nothing here may need the internet.
LOOKED_UP = {
    "https://cruft.github.io/cruft/": "2026-11-28",
    "https://docs.getmoto.org": "2026-11-23",
    "https://docs.aws.amazon.com/cli/latest/reference/lambda-web/": "2026-11-23",
    "https://docs.aws.amazon.com/lambda/latest/dg/web-functions-runtimes.html": "2026-11-23",
    "https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/automating-updates-to-serverless-apps.html": "2026-11-23",  # noqa: E501
    "https://github.com/zappa/Zappa": "2026-11-23",
    "https://aws.github.io/chalice/": "2026-11-23",
    "https://github.com/aws/chalice/issues/365": "2026-11-23",
    "https://www.serverless.com/framework/docs": "2026-11-23",
    "https://www.serverless.com/framework/docs/providers/aws/cli-reference/diff": "2026-11-23",
    "https://serverless.com/plugins/serverless-plugin-canary-deployments": "2026-11-23",
    "https://sst.dev/docs/component/aws/function": "2026-11-23",
    "https://github.com/anomalyco/sst/pull/6721": "2026-11-23",
}

# What each command of the pages is run by. Those of make also have to run the module that the test runs.
COST = "tests/deploy_tool/test_cost.py"
GITHUB_ROLE = "tests/deploy_tool/test_github_role.py"
DEPLOY = "tests/deploy_tool/test_every_combination.py::test_a_project_works_from_its_first_deploy_to_destroy"
FOLLOWS = "tests/project/test_change_answer.py::test_a_project_of_one_release_follows_to_the_next"
RUN_BY = {
    "cookiecutter gh:<org>/cookiecutter-fastapi-lambda": FOLLOWS,  # from another address
    "pipx install cookiecutter": FOLLOWS,  # from requirements.txt
    "cookiecutter --checkout v0.1.0": FOLLOWS,
    "cruft create <address>": FOLLOWS,
    "cruft update --checkout v0.1.0": FOLLOWS,
    "cruft link": "tests/project/test_change_answer.py::linked",
    "cd my-api && ./deploy.sh": DEPLOY,
    "./deploy.sh": DEPLOY,
    "./deploy.sh plan": DEPLOY,
    "./deploy.sh destroy": DEPLOY,
    "./deploy.sh cost": f"{COST}::test_typical_workloads_cost_what_the_price_list_says",
    "./deploy.sh cost --requests 260000000 --duration 20": f"{COST}::test_requested_and_measured_workloads_are_shown",
    "./deploy.sh github": f"{GITHUB_ROLE}::test_a_role_allows_what_a_stage_needs_and_nothing_else",
    "./deploy.sh --stage dev": "tests/deploy_tool/test_destroy.py::test_another_stage_keeps_its_resources",
}
MAKE = {
    "demo": ("scripts.demo", "tests/template/test_demo.py::test_default_answers"),
    "serve": (
        "scripts.demo --serve",
        "tests/template/test_demo.py::test_serve_deploys_again_at_enter_and_ends_at_ctrl_c",
    ),
    "test": ("pytest", ".ci/run"),
    "test-faults": ("pytest", "tests/deploy_tool/test_faults.py::test_the_next_run_repairs_a_failure_at_any_call"),
    "test-github": (
        "pytest",
        f"{GITHUB_ROLE}::test_a_role_allows_what_a_stage_needs_and_nothing_else",
    ),
    "test-openapi": ("pytest", "tests/service/test_openapi.py::test_responses_conform_to_the_openapi_document"),
    "test-soak": ("pytest", "tests/service/test_soak.py::test_memory_does_not_grow"),
    "test-aws": ("scripts.acceptance_on_aws", "tests/template/test_acceptance_on_aws.py::test_with_a_container_engine"),
    "bench": ("benchmarks.run", "tests/template/test_benchmark.py::test_one_round_of_two_subjects"),
    "transcript": (
        "scripts.transcript",
        "tests/deploy_tool/test_container_engine.py::test_the_picture_in_the_readme_shows_the_demo",
    ),
    "lint": ("ruff", "tests/template/test_repository.py::test_the_templates_own_code_is_clean"),
    "lock": ("scripts.lock", "tests/template/test_lock.py::test_variants_become_one_file_with_conditions"),
}


@cache
def page(name: str) -> list[Token]:
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse((TEMPLATE / name).read_text("utf-8"))
    return [inner for token in tokens for inner in (token, *(token.children or []))]


def links(name: str) -> Iterator[str]:
    for token in page(name):
        link = token.attrGet("href") if token.type == "link_open" else token.attrGet("src")
        if link:
            yield str(link)


def commands() -> set[str]:
    """Return the commands of all pages: lines of code blocks without their comments, and code within text."""
    result = set[str]()
    for name in PAGES:
        for token in page(name):
            lines = token.content.splitlines() if token.type == "fence" else []
            lines += [token.content] if token.type == "code_inline" else []
            result |= {line.partition(" #")[0].strip() for line in lines if line.startswith(PROGRAMS)}
    return result


@pytest.mark.parametrize("name", PAGES + GUIDES)
def test_every_link_leads_somewhere(name: str) -> None:
    for link in links(name):
        path, _, anchor = link.partition("#")
        if "://" in path:
            continue
        target = (TEMPLATE / name).parent / path if path else TEMPLATE / name
        assert target.exists(), link
        assert not anchor or anchor in anchors(target.read_text("utf-8")), link


def test_every_external_link_was_looked_up() -> None:
    assert {link for name in PAGES + GUIDES for link in links(name) if "://" in link} == LOOKED_UP.keys()


def test_every_command_is_run_by_a_test() -> None:
    targets = {command for command in commands() if command.startswith("make ")}
    assert commands() - targets == RUN_BY.keys()
    assert {shlex.split(command)[1] for command in targets} == MAKE.keys()
    for test in [*RUN_BY.values(), *(test for _, test in MAKE.values())]:
        file, _, function = test.partition("::")
        text = (TEMPLATE / file).read_text("utf-8")
        assert f"\ndef {function}(" in text if function else "\nmake test\n" in text, test


@pytest.mark.parametrize("command", sorted(command for command in commands() if command.startswith("make ")))
def test_make_runs_what_the_test_runs(command: str) -> None:
    words = shlex.split(command)
    result = subprocess.run([*words, "-n"], cwd=TEMPLATE, capture_output=True, encoding="utf-8")
    assert result.returncode == 0, result.stderr
    program, test = MAKE[words[1]]
    assert program in result.stdout
    if program == "pytest" and test != ".ci/run":
        assert test.partition("::")[0] in result.stdout
    for word in words[2:]:
        assert word.partition("=")[2] in result.stdout


def test_fixed_costs_match_the_price_list() -> None:
    readme = (TEMPLATE / "README.md").read_text("utf-8")
    fixed = re.search(r"Fixed costs: (.+?)\n\n", readme, re.DOTALL)
    assert fixed
    half = 0.5 * MONTH_S  # GB-s at 512 MB
    assert [float(figure) for figure in re.findall(r"\d\.\d\d", fixed[1])] == [
        PRICES["cloudwatch"]["alarm"],
        PRICES["secrets_manager"]["secret"],
        PRICES["route_53"]["hosted_zone"],
        round(half * PRICES["snapstart"]["cached_gb_s"], 2),
        round(half * PRICES["provisioned_concurrency"]["idle_gb_s"]["arm64"], 2),
    ]
    assert f"the prices of us-east-1 on {PRICES['as_of']}" in readme
    assert f"${PRICES['api_gateway']['million_requests']:.2f} for a million requests" in readme
    cheaper = 1 - PRICES["lambda"]["gb_s"]["arm64"] / PRICES["lambda"]["gb_s"]["x86_64"]
    assert cheaper == pytest.approx(1 / 5, abs=0.01)
    assert "arm64 costs a fifth less per second" in readme


def test_every_text_contains_the_cost_of_snapshots(bake: Bake) -> None:
    project = bake(cold_starts="snapstart").path
    settings = tomllib.loads((project / "deploy.toml").read_text("utf-8"))
    assert settings["memory_mb"] == 512
    version = 0.5 * MONTH_S * PRICES["snapstart"]["cached_gb_s"]
    kept = settings["keep_releases"]
    assert kept == 5
    files = (TEMPLATE / "README.md", project / "README.md", project / "deploy.toml")
    for text in [PROMPTS["__prompts__"]["cold_starts"]["snapstart"], *(file.read_text("utf-8") for file in files)]:
        assert f"${version:.2f} " in text
        assert f"${version * kept:.2f}" in text


def test_every_prompt_is_in_the_table_with_its_default() -> None:
    readme = (TEMPLATE / "README.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| (\S.*?)? ?\| ", readme, re.MULTILINE))
    prompts = {name: answer for name, answer in PROMPTS.items() if not name.startswith("_")}
    assert rows.keys() == prompts.keys()
    assert f"| `description` | `{PROMPTS['description']}` |" in readme
    for name, choices in CHOICES.items():
        (row,) = re.findall(rf"^\| `{name}` \|.*", readme, re.MULTILINE)
        assert row.startswith(f"| `{name}` | `{choices[0]}` |")
        assert all(f"`{choice}`" in row for choice in choices), row


def test_figures_of_contributing_and_the_benchmark() -> None:
    makefile = (TEMPLATE / "Makefile").read_text("utf-8")
    contributing = (TEMPLATE / "CONTRIBUTING.md").read_text("utf-8")
    assert "EXAMPLES=500 " in makefile
    assert "500 times each" in contributing
    assert "SOAK=20000 " in makefile
    assert "20,000 requests over 8 environments" in contributing
    assert '"--rounds", type=int, default=20' in Path(benchmark.__file__).read_text("utf-8")
    assert "20 rounds of everything" in (TEMPLATE / "benchmarks/README.md").read_text("utf-8")
    (named,) = re.findall(r'-k (\S+?)"`', contributing)
    assert named in {"-".join(combination.values()) for combination in COMBINATIONS}


def test_the_transcript_begins_with_the_deploy() -> None:
    lines = transcript.lines_of(transcript.PICTURE)
    assert lines[0].startswith(transcript.FROM)
    assert transcript.without_what_varies(lines) != lines
