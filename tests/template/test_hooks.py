"""Check that the hooks reject invalid answers in one line, delete the right files and leave nothing else behind."""

import ast
import sys
from pathlib import Path

import pytest
from botocore.session import Session
from cookiecutter.utils import create_env_with_context

from scripts.projects import CHOICES, MANIFEST, PROMPTS, TEMPLATE, run_cookiecutter
from tests.support.bake import Bake
from tests.support.hooks import hook, lay_out

REFUSED = {  # the message begins with the name of the prompt
    "project_name": ["", " ", " padded ", "two\nlines", "bell\a", "nul\0", "line\u2028separator", "x" * 81],
    "description": ["", "two\r\nlines", "escape\x1b[31m", "next\x85line", "x" * 201],
    "project_slug": [
        *("", "a", "ab", "My-API", "my_api", "1st", "-api", "api-", "my--api", "my api", "größe", "my-api\n", "x" * 41),
        *("$(id)", "../api", "a/b", "my.api", "{{slug}}", "aws-tools", "ssm-reader", "awsome"),
    ],
    "aws_region": ["", "useast1", "us_east_1", "us-east", "us-eest-1", "US-EAST-1", "us-east-1a", "us-east-1\n", "eu"],
}
UNKNOWN_CHOICES = {
    "python_version": ["2.7", "3.11", "3.10", "3", "3.13.1", ""],
    "architecture": ["riscv", "arm", "amd64", ""],
    "endpoint": ["ftp", ""],
    "secrets": ["vault", ""],
    "migrations": ["flyway", ""],
    "cold_starts": ["never", ""],
}


@pytest.mark.parametrize(("name", "answer"), [(name, answer) for name in REFUSED for answer in REFUSED[name]])
def test_a_bad_answer_is_refused_in_one_line(tmp_path: Path, name: str, answer: str) -> None:
    result = hook("pre_gen_project", tmp_path, {name: answer})
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.startswith(name)
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("name", CHOICES)
def test_every_choice_is_accepted(tmp_path: Path, name: str) -> None:
    for choice in CHOICES[name]:
        result = hook("pre_gen_project", tmp_path, {name: choice})
        assert result.returncode == 0, result.stderr


def test_every_prompt_with_choices_has_an_unknown_one_to_try() -> None:
    assert UNKNOWN_CHOICES.keys() == CHOICES.keys()


@pytest.mark.parametrize(
    "slug", ["api", "my-api", "a-1", "x" * 40, "test", "none", "a1b2", "lambda", "deploy", "app", "my-aws-api"]
)
def test_a_good_slug_is_taken(tmp_path: Path, slug: str) -> None:
    assert hook("pre_gen_project", tmp_path, {"project_slug": slug}).returncode == 0


def test_every_region_is_taken(tmp_path: Path) -> None:
    """Also those that will be new: this fails when botocore learns of one that the hook refuses.

    None of those where AWS has other host names, such as China's.
    """
    session = Session()
    regions = {r for p in session.get_available_partitions() for r in session.get_available_regions("lambda", p)}
    ours = {r for p in ("aws", "aws-us-gov") for r in session.get_available_regions("lambda", p)}
    assert {"us-east-1", "eu-central-1", "us-gov-west-1"} <= ours
    assert {r for r in regions if hook("pre_gen_project", tmp_path, {"aws_region": r}).returncode == 0} == ours


def test_an_old_python_is_refused(tmp_path: Path) -> None:
    result = hook("pre_gen_project", tmp_path, {}, before="import sys; sys.version_info = (3, 10, 14)\n")
    assert result.returncode == 1
    assert "Python 3.11 or newer" in result.stderr
    ast.parse((TEMPLATE / "hooks/pre_gen_project.py").read_text("utf-8"), feature_version=(3, 8))


REFUSED_BY_COOKIECUTTER = [
    "project_slug=A",
    "project_slug=a/b",
    "project_slug=../a/b",
    r"project_slug=a\b",
    f"project_slug={'x' * 300}",
    "project_slug=.",
    "project_slug=",
    "project_slug=aws-x",
    "project_slug=fastapi",
    "project_name=",
    "description={{ nothing.here }}",
    "aws_region=mars-1",
    *(f"{name}={choice}" for name, choices in UNKNOWN_CHOICES.items() for choice in choices),
]


@pytest.mark.parametrize("given", REFUSED_BY_COOKIECUTTER)
def test_a_refusal_leaves_nothing_on_disk(tmp_path: Path, given: str) -> None:
    result = run_cookiecutter(tmp_path / "above" / "out", "--no-input", given)
    assert result.returncode == 1
    assert result.stdout + result.stderr != ""
    assert [
        path for path in tmp_path.rglob("*") if "home" not in path.parts and path.name not in ("above", "out")
    ] == []


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


@pytest.mark.parametrize(("name", "slug"), SLUGS.items())
def test_the_slug_of_a_name_is_one_that_is_taken(tmp_path: Path, name: str, slug: str) -> None:
    context = {"cookiecutter": {"project_name": name}}
    made = create_env_with_context(context).from_string(PROMPTS["project_slug"]).render(**context)
    assert made == slug
    assert hook("pre_gen_project", tmp_path, {"project_slug": made}).returncode == 0


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


TWO_CHOICES = {"endpoint": {"function_url": ["url.py", "both.py"], "http_api": ["api.py", "api/", "both.py"]}}


def test_pruning_keeps_what_is_chosen_and_deletes_the_rest(tmp_path: Path) -> None:
    lay_out(tmp_path, TWO_CHOICES)
    assert hook("post_gen_project", tmp_path, {"endpoint": "function_url"}).stderr == ""
    assert names(tmp_path) == {"always.py", "url.py", "both.py", "requirements-dev.txt"}
    assert not (tmp_path / "api").exists()


def test_pruning_twice_changes_nothing(tmp_path: Path) -> None:
    lay_out(tmp_path, TWO_CHOICES)
    hook("post_gen_project", tmp_path, {"endpoint": "http_api"})
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    result = hook("post_gen_project", tmp_path, {"endpoint": "http_api"})
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


@pytest.mark.parametrize("choice", ["function_url", "http_api"])
def test_a_path_that_does_not_exist_is_an_error_that_names_it(tmp_path: Path, choice: str) -> None:
    lay_out(tmp_path, {"endpoint": {"function_url": ["url.py"], "http_api": ["gone.py", "api.py"]}})
    before = names(tmp_path)
    result = hook("post_gen_project", tmp_path, {"endpoint": choice})
    assert result.returncode == 1
    assert "gone.py" in result.stderr
    assert names(tmp_path) == before


@pytest.mark.parametrize("path", ["../outside.py", "/etc/hostname", ".", "", "api/../../outside.py", "link/outside.py"])
def test_a_path_outside_the_project_is_an_error(tmp_path: Path, path: str) -> None:
    project = tmp_path / "project"
    lay_out(project, {"endpoint": {"function_url": [], "http_api": [path]}})
    (tmp_path / "outside.py").write_text("")
    (project / "link").symlink_to(tmp_path)
    result = hook("post_gen_project", project, {"endpoint": "function_url"})
    assert result.returncode == 1
    assert "outside the project" in result.stderr
    assert (tmp_path / "outside.py").exists()


def test_post_gen_changes_nothing_in_a_finished_project(bake: Bake, tmp_path: Path) -> None:
    project = bake().copy(tmp_path)
    assert hook("post_gen_project", project.path, {}).returncode == 0
    assert all((project.path / name).exists() for name in project.files)


def test_hooks_import_the_standard_library_only() -> None:
    for file in (TEMPLATE / "hooks").glob("*.py"):
        nodes = [
            node
            for node in ast.walk(ast.parse(file.read_text("utf-8")))
            if isinstance(node, ast.Import | ast.ImportFrom)
        ]
        imported = {n.module or "" if isinstance(n, ast.ImportFrom) else n.names[0].name for n in nodes}
        assert imported <= sys.stdlib_module_names


def test_the_manifest_lists_only_what_exists() -> None:
    folder = TEMPLATE / "{{cookiecutter.project_slug}}"
    listed = [file for choices in MANIFEST.values() for belongs in choices.values() for file in belongs["files"]]
    assert [file for file in listed if not (folder / file).exists()] == []
