"""Check every link, command and figure in the documents of the template.

`TESTED_BY` and `MAKE` name the test that runs each command.
"""

import os
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
from scripts.projects import CHOICES, COMBINATIONS, PRICES, PROMPTS, TEMPLATE, combination_name
from tests.support.bake import Bake
from tests.support.markdown import heading_anchors

PAGES = ("README.md", "CONTRIBUTING.md", "benchmarks/README.md")
GUIDES = (
    "docs/change-an-answer.md",  # tests/project/test_change_answer.py runs its commands
    "docs/move-in.md",  # tests/project/test_recipe_move_in.py follows the recipe with the same steps
)
PROGRAMS = ("make ", "./deploy.sh", "cookiecutter ", "cruft ", "cd ", "pipx ")
MONTH_S = 30 * 24 * 3600

# External links, and the day on which a person last opened each of them. The tests do not use the internet.
EXTERNAL_LINKS = {
    "https://cruft.github.io/cruft/": "2026-11-28",
    "https://docs.getmoto.org": "2026-11-23",
    "https://docs.aws.amazon.com/cli/latest/reference/lambda-web/": "2026-11-23",
    "https://docs.aws.amazon.com/lambda/latest/dg/web-functions-runtimes.html": "2026-11-23",
    "https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/automating-updates-to-serverless-apps.html": "2026-11-23",  # noqa: E501
    "https://github.com/aws/aws-lambda-python-runtime-interface-client/issues/216": "2026-11-28",
    "https://github.com/fastapi/full-stack-fastapi-template": "2026-11-28",
    "https://github.com/zappa/Zappa": "2026-11-23",
    "https://aws.github.io/chalice/": "2026-11-23",
    "https://github.com/aws/chalice/issues/365": "2026-11-23",
    "https://www.serverless.com/framework/docs": "2026-11-23",
    "https://www.serverless.com/framework/docs/providers/aws/cli-reference/diff": "2026-11-23",
    "https://serverless.com/plugins/serverless-plugin-canary-deployments": "2026-11-23",
    "https://sst.dev/docs/component/aws/function": "2026-11-23",
    "https://github.com/anomalyco/sst/pull/6721": "2026-11-23",
}

COST = "tests/deploy_tool/test_cost.py"
GITHUB_ROLE = "tests/deploy_tool/test_github_role.py"
DEPLOY = "tests/deploy_tool/test_every_combination.py::test_a_project_works_from_its_first_deploy_to_destroy"
UPDATE = "tests/project/test_change_answer_files.py::test_a_project_can_be_updated_to_the_next_release"
# The commands of the documents, each with the test that runs it.
TESTED_BY = {
    "cookiecutter gh:<org>/cookiecutter-fastapi-lambda": UPDATE,  # from another address
    "pipx install cookiecutter": UPDATE,  # from requirements.txt
    "cookiecutter --checkout v0.1.0": UPDATE,
    "cruft create <address>": UPDATE,
    "cruft update --checkout v0.1.0": UPDATE,
    "cruft link": "tests/support/change_guide.py::link_project",
    "cd my-api && ./deploy.sh": DEPLOY,
    "./deploy.sh": DEPLOY,
    "./deploy.sh plan": DEPLOY,
    "./deploy.sh destroy": DEPLOY,
    "./deploy.sh cost": f"{COST}::test_typical_workloads_cost_what_the_price_list_says",
    "./deploy.sh cost --requests 260000000 --duration 20": f"{COST}::test_requested_and_measured_workloads_are_shown",
    "./deploy.sh github": f"{GITHUB_ROLE}::test_a_role_allows_what_a_stage_needs_and_nothing_else",
    "./deploy.sh --stage dev": "tests/deploy_tool/test_destroy.py::test_another_stage_keeps_its_resources",
}
# The targets of make, each with a part of the command that it runs, and the test that runs the same program.
MAKE = {
    "demo": ("scripts.demo", "tests/template/test_demo.py::test_the_demo_deploys_the_default_project"),
    "serve": (
        "scripts.demo --serve",
        "tests/template/test_demo.py::test_serve_deploys_again_at_enter_and_ends_at_ctrl_c",
    ),
    "test": ("pytest", ".ci/run"),
    "test-all": ("pytest", "tests/deploy_tool/test_faults.py::test_the_next_run_repairs_a_failure_at_any_call"),
    "test-aws": (
        "scripts.acceptance_on_aws",
        "tests/template/test_acceptance_on_aws.py::test_the_run_succeeds_with_a_container_engine",
    ),
    "test-conformance": (
        "scripts.conformance",
        "tests/service/test_conformance.py::test_a_sample_of_fastapis_tests_gets_the_same_responses",
    ),
    "bench": ("benchmarks.run", "tests/template/test_benchmark.py::test_three_rounds_with_two_subjects_succeed"),
    "transcript": (
        "scripts.transcript",
        "tests/deploy_tool/test_container_engine.py::test_the_picture_in_the_readme_shows_the_demo",
    ),
    "lint": ("ruff", "tests/template/test_repository.py::test_the_templates_own_code_is_clean"),
    "lock": ("scripts.lock", "tests/template/test_lock.py::test_variants_become_one_file_with_conditions"),
}


@cache
def parse(name: str) -> list[Token]:
    """Return the Markdown tokens of a document, with those inside of text."""
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse((TEMPLATE / name).read_text("utf-8"))
    return [inner for token in tokens for inner in (token, *(token.children or []))]


def list_links(name: str) -> Iterator[str]:
    for token in parse(name):
        link = token.attrGet("href") if token.type == "link_open" else token.attrGet("src")
        if link:
            yield str(link)


def list_commands() -> set[str]:
    """Return the commands of all documents: lines of code blocks without comments, and code in the text."""
    result = set[str]()
    for name in PAGES:
        for token in parse(name):
            lines = token.content.splitlines() if token.type == "fence" else []
            lines += [token.content] if token.type == "code_inline" else []
            result |= {line.partition(" #")[0].strip() for line in lines if line.startswith(PROGRAMS)}
    return result


@pytest.mark.parametrize("name", PAGES + GUIDES)
def test_every_link_has_a_target(name: str) -> None:
    for link in list_links(name):
        path, _, anchor = link.partition("#")
        if "://" in path:
            continue
        target = (TEMPLATE / name).parent / path if path else TEMPLATE / name
        assert target.exists(), link
        assert not anchor or anchor in heading_anchors(target.read_text("utf-8")), link


def test_every_external_link_is_listed() -> None:
    assert {link for name in PAGES + GUIDES for link in list_links(name) if "://" in link} == EXTERNAL_LINKS.keys()


def test_every_command_is_run_by_a_test() -> None:
    targets = {command for command in list_commands() if command.startswith("make ")}
    assert list_commands() - targets == TESTED_BY.keys()
    assert {shlex.split(command)[1] for command in targets} == MAKE.keys()
    for test in [*TESTED_BY.values(), *(test for _, test in MAKE.values())]:
        file, _, function = test.partition("::")
        text = (TEMPLATE / file).read_text("utf-8")
        assert f"\ndef {function}(" in text if function else re.search(r"(?m)^ *make test$", text), test


@pytest.mark.parametrize("command", sorted(command for command in list_commands() if command.startswith("make ")))
def test_make_runs_the_same_program_as_the_test(command: str) -> None:
    words = shlex.split(command)
    result = subprocess.run([*words, "-n"], cwd=TEMPLATE, capture_output=True, encoding="utf-8")
    assert result.returncode == 0, result.stderr
    program, test = MAKE[words[1]]
    assert program in result.stdout
    if program == "pytest" and test != ".ci/run":
        assert test.partition("::")[0] in result.stdout
    for word in words[2:]:
        assert word.partition("=")[2] in result.stdout


@pytest.mark.parametrize(
    ("variable", "file"),
    [
        ("FAULTS=ci", "tests/deploy_tool/test_faults.py"),
        ("GITHUB_ROLES=all", GITHUB_ROLE),
        ("EXAMPLES=500", "tests/service/test_openapi.py"),
        ("SOAK=20000", "tests/service/test_soak.py"),
        ("JOBS=2000", "tests/service/test_jobs.py"),
    ],
)
def test_make_test_all_runs_each_long_test_with_its_variable(variable: str, file: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "FAULTS"}
    command = ["make", "test-all", "-n"]
    output = subprocess.run(command, cwd=TEMPLATE, env=environment, capture_output=True, encoding="utf-8").stdout
    assert f"{variable} " in output
    assert f" {file} " in output
    assert f'os.environ.get("{variable.partition("=")[0]}"' in (TEMPLATE / file).read_text("utf-8")


def test_the_fixed_costs_of_the_readme_match_the_price_list() -> None:
    readme = (TEMPLATE / "README.md").read_text("utf-8")
    match = re.search(r"Fixed costs: (.+?)\n\n", readme, re.DOTALL)
    assert match
    gb_s = 0.5 * MONTH_S  # at 512 MB
    assert [float(figure) for figure in re.findall(r"\d\.\d\d", match[1])] == [
        PRICES["cloudwatch"]["alarm"],
        PRICES["secrets_manager"]["secret"],
        PRICES["route_53"]["hosted_zone"],
        round(5 * MONTH_S / 20 / 1_000_000 * PRICES["sqs"]["million_requests"], 2),  # five polls of 20 s at any time
        round(gb_s * PRICES["snapstart"]["cached_gb_s"], 2),
        round(gb_s * PRICES["provisioned_concurrency"]["idle_gb_s"]["arm64"], 2),
    ]
    assert f"the prices of us-east-1 on {PRICES['as_of']}" in readme
    assert f"${PRICES['api_gateway']['million_requests']:.2f} for a million requests" in readme
    saved = 1 - PRICES["lambda"]["gb_s"]["arm64"] / PRICES["lambda"]["gb_s"]["x86_64"]
    assert saved == pytest.approx(1 / 5, abs=0.01)
    assert "arm64 costs a fifth less per second" in readme


def test_every_document_contains_the_cost_of_snapshots(bake: Bake) -> None:
    project = bake(cold_starts="snapstart").path
    settings = tomllib.loads((project / "deploy.toml").read_text("utf-8"))
    assert settings["memory_mb"] == 512
    per_version = 0.5 * MONTH_S * PRICES["snapstart"]["cached_gb_s"]
    kept_versions = settings["keep_releases"]
    assert kept_versions == 5
    files = (TEMPLATE / "README.md", project / "README.md", project / "deploy.toml")
    for text in [PROMPTS["__prompts__"]["cold_starts"]["snapstart"], *(file.read_text("utf-8") for file in files)]:
        assert f"${per_version:.2f} " in text
        assert f"${per_version * kept_versions:.2f}" in text


def test_the_readme_lists_every_prompt_with_its_default() -> None:
    readme = (TEMPLATE / "README.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| (\S.*?)? ?\| ", readme, re.MULTILINE))
    prompts = {name: answer for name, answer in PROMPTS.items() if not name.startswith("_")}
    assert rows.keys() == prompts.keys()
    assert f"| `description` | `{PROMPTS['description']}` |" in readme
    for name, choices in CHOICES.items():
        (row,) = re.findall(rf"^\| `{name}` \|.*", readme, re.MULTILINE)
        assert row.startswith(f"| `{name}` | `{choices[0]}` |")
        assert all(f"`{choice}`" in row for choice in choices), row


def test_the_figures_in_contributing_and_the_benchmark_match_the_code() -> None:
    makefile = (TEMPLATE / "Makefile").read_text("utf-8")
    contributing = (TEMPLATE / "CONTRIBUTING.md").read_text("utf-8")
    assert "EXAMPLES=500 " in makefile
    assert "500 times each" in contributing
    assert "SOAK=20000 " in makefile
    assert "20,000 requests over 8 environments" in contributing
    assert '"--rounds", type=int, default=20' in Path(benchmark.__file__).read_text("utf-8")
    assert "20 rounds of everything" in (TEMPLATE / "benchmarks/README.md").read_text("utf-8")
    (combination,) = re.findall(r'-k (\S+?)"`', contributing)
    assert combination in map(combination_name, COMBINATIONS)


def test_the_transcript_begins_with_the_deploy() -> None:
    lines = transcript.read_lines(transcript.PICTURE)
    assert lines[0].startswith(transcript.FIRST_LINE)
    assert transcript.mask_varying_parts(lines) != lines
