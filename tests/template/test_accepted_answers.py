"""Test that the template accepts every valid answer, and that each answer reaches the project."""

import re
from pathlib import Path

import pytest
from botocore.session import Session
from pytest_cookies.plugin import Cookies

from scripts.projects import CHOICES, OTHER_ANSWERS, TEMPLATE, Answers, combination_name
from tests.support.bake import Bake
from tests.support.hooks import run_hook

SLUGS = {
    "My API": "my-api",
    "Größe & Gewicht": "grosse-gewicht",
    "日本語": "ri-ben-yu",
    "It's 100%": "it-s-100",
    "snake_case": "snake-case",
    "!!!": "api",
    "🚀": "api",
    "A": "api-a",
    "2 Fast": "api-2-fast",
    "AWS tools": "api-aws-tools",
    "x" * 80: "x" * 40,
    "x" * 39 + " y": "x" * 39,
    "4" * 80: "api-" + "4" * 36,
}


@pytest.mark.parametrize(
    "slug", ["api", "my-api", "a-1", "x" * 40, "test", "none", "a1b2", "lambda", "deploy", "app", "my-aws-api"]
)
def test_a_valid_slug_is_accepted(tmp_path: Path, slug: str) -> None:
    assert run_hook("pre_gen_project", tmp_path, {"project_slug": slug}).returncode == 0


@pytest.mark.parametrize(("name", "slug"), SLUGS.items())
def test_the_slug_is_derived_from_the_name_and_accepted(cookies: Cookies, name: str, slug: str) -> None:
    result = cookies.bake(extra_context={"project_name": name})
    assert result.exit_code == 0, result.exception
    assert result.context["project_slug"] == slug
    assert result.project_path.name == slug


@pytest.mark.parametrize("prompt", CHOICES)
def test_every_choice_is_accepted(tmp_path: Path, prompt: str) -> None:
    for choice in CHOICES[prompt]:
        result = run_hook("pre_gen_project", tmp_path, {prompt: choice})
        assert result.returncode == 0, result.stderr


def test_every_region_is_accepted(tmp_path: Path) -> None:
    """This fails when botocore adds a Region that the hook refuses.

    The hook refuses other partitions: GovCloud lacks features, and China uses other host names.
    """
    session = Session()
    regions = {
        region
        for partition in session.get_available_partitions()
        for region in session.get_available_regions("lambda", partition)
    }
    supported = set(session.get_available_regions("lambda"))
    assert {"us-east-1", "eu-central-1"} <= supported
    assert "us-gov-west-1" in regions - supported
    accepted = {
        region for region in regions if run_hook("pre_gen_project", tmp_path, {"aws_region": region}).returncode == 0
    }
    assert accepted == supported


def test_the_hook_and_the_deploy_tool_accept_the_same_regions() -> None:
    files = ("hooks/pre_gen_project.py", "{{cookiecutter.project_slug}}/deploy/config.py")
    first, second = (re.findall(r"(?m)^REGION = .*", (TEMPLATE / file).read_text("utf-8")) for file in files)
    assert len(first) == 1
    assert first == second


@pytest.mark.parametrize("answers", OTHER_ANSWERS, ids=combination_name)
def test_an_answer_reaches_the_project(bake: Bake, answers: Answers) -> None:
    default = dict(bake().texts())
    changed_lines = {
        line
        for file, text in bake(**answers).texts()
        for line in set(text.splitlines()) - set(default[file].splitlines())
    }
    assert [answer for answer in answers.values() if not any(answer in line for line in changed_lines)] == []
