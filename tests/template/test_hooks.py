"""Test that the hooks need only Python's standard library, and that post_gen deletes the right files.

test_refused_answers.py and test_accepted_answers.py test the pre_gen hook.
"""

import ast
import sys
from pathlib import Path

import pytest

from scripts.projects import MANIFEST, PROJECT_TEMPLATE, TEMPLATE
from tests.support.bake import Bake
from tests.support.hooks import run_hook, write_unpruned_project

TWO_CHOICES = {"endpoint": {"function_url": ["url.py", "both.py"], "http_api": ["api.py", "api/", "both.py"]}}


def list_files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_hooks_import_only_the_standard_library() -> None:
    for file in (TEMPLATE / "hooks").glob("*.py"):
        modules = set[str]()
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                modules |= {alias.name.partition(".")[0] for alias in node.names}
            if isinstance(node, ast.ImportFrom):
                modules.add((node.module or "").partition(".")[0])
        assert modules
        assert modules <= sys.stdlib_module_names


def test_an_old_python_is_refused(tmp_path: Path) -> None:
    result = run_hook("pre_gen_project", tmp_path, {}, before="import sys; sys.version_info = (3, 10, 14)\n")
    assert result.returncode == 1
    assert "Python 3.11 or newer" in result.stderr
    ast.parse((TEMPLATE / "hooks/pre_gen_project.py").read_text("utf-8"), feature_version=(3, 8))


def test_files_of_other_choices_are_deleted(tmp_path: Path) -> None:
    write_unpruned_project(tmp_path, TWO_CHOICES)
    assert run_hook("post_gen_project", tmp_path, {"endpoint": "function_url"}).stderr == ""
    assert list_files(tmp_path) == {"always.py", "url.py", "both.py", "requirements-dev.txt"}
    assert not (tmp_path / "api").exists()


def test_the_second_run_of_post_gen_changes_nothing(tmp_path: Path) -> None:
    write_unpruned_project(tmp_path, TWO_CHOICES)
    run_hook("post_gen_project", tmp_path, {"endpoint": "http_api"})
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    result = run_hook("post_gen_project", tmp_path, {"endpoint": "http_api"})
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


@pytest.mark.parametrize("choice", ["function_url", "http_api"])
def test_a_listed_path_that_does_not_exist_is_an_error(tmp_path: Path, choice: str) -> None:
    write_unpruned_project(tmp_path, {"endpoint": {"function_url": ["url.py"], "http_api": ["gone.py", "api.py"]}})
    before = list_files(tmp_path)
    result = run_hook("post_gen_project", tmp_path, {"endpoint": choice})
    assert result.returncode == 1
    assert "gone.py" in result.stderr
    assert list_files(tmp_path) == before


@pytest.mark.parametrize("path", ["../outside.py", "/etc/hostname", ".", "", "api/../../outside.py", "link/outside.py"])
def test_a_listed_path_outside_the_project_is_an_error(tmp_path: Path, path: str) -> None:
    project = tmp_path / "project"
    write_unpruned_project(project, {"endpoint": {"function_url": [], "http_api": [path]}})
    (tmp_path / "outside.py").write_text("")
    (project / "link").symlink_to(tmp_path)
    result = run_hook("post_gen_project", project, {"endpoint": "function_url"})
    assert result.returncode == 1
    assert "outside the project" in result.stderr
    assert (tmp_path / "outside.py").exists()


def test_post_gen_deletes_nothing_in_a_complete_project(bake: Bake, tmp_path: Path) -> None:
    project = bake().copy(tmp_path)
    assert run_hook("post_gen_project", project.path, {}).returncode == 0
    assert all((project.path / name).exists() for name in project.files)


def test_the_manifest_lists_only_existing_files() -> None:
    listed = [file for choices in MANIFEST.values() for entry in choices.values() for file in entry["files"]]
    assert [file for file in listed if not (PROJECT_TEMPLATE / file).exists()] == []
