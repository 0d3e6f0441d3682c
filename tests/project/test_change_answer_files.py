"""Test that `cruft update` changes a project's files correctly, and that docs/change-an-answer.md is complete."""

import itertools
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from scripts.projects import CHOICES, MANIFEST, PROJECT_TEMPLATE, PROMPTS, Project
from tests.support.bake import Bake
from tests.support.change_guide import (
    GUIDE,
    change_answers,
    commit,
    create_project,
    create_template_repository,
    guide_sections,
    link_project,
)

BEFORE = ")\napp.include_router(health.router)\n"
OWN_LINE = '    version="2.0.0",\n'


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return create_template_repository(tmp_path_factory.mktemp("template"))


def add_own_code(project: Project) -> Project:
    """Change a file of the template and add another file, as an owner does."""
    file = project.path / "app/main.py"
    text = file.read_text("utf-8")
    assert BEFORE in text
    file.write_text(text.replace(BEFORE, OWN_LINE + BEFORE), encoding="utf-8")
    (project.path / "app/mine.py").write_text("MINE = True\n", encoding="utf-8")
    return project


def read_files(project: Project) -> dict[str, tuple[int, bytes]]:
    """Return mode and content of every file, without those of git, cruft and .venv."""
    files = [file for file in project.path.rglob("*") if file.is_file()]
    names = {file.relative_to(project.path).as_posix(): file for file in files}
    return {
        name: (file.stat().st_mode, file.read_bytes())
        for name, file in names.items()
        if not name.startswith((".git/", ".venv/", ".cruft.json"))
    }


def create_tag(folder: Path, name: str) -> str:
    subprocess.run(["git", "tag", name], cwd=folder, check=True)
    return name


@pytest.mark.parametrize(
    "changed",
    [{"endpoint": "http_api"}, {option: choices[-1] for option, choices in CHOICES.items()}],
    ids=lambda answers: "-".join(answers.values()),
)
def test_a_changed_project_equals_a_new_one_with_the_same_own_code(
    bake: Bake, tmp_path: Path, template: Path, changed: dict[str, str]
) -> None:
    default = {option: CHOICES[option][0] for option in changed}
    project = add_own_code(link_project(bake(**default).copy(tmp_path / "project"), template))
    commit(project.path)
    for number, answers in enumerate((changed, default)):
        change_answers(project, answers)
        new_project = add_own_code(bake(**answers).copy(tmp_path / str(number)))
        actual, expected = read_files(project), read_files(new_project)
        assert {name for name in actual.keys() | expected.keys() if actual.get(name) != expected.get(name)} == set()


def test_a_project_can_be_updated_to_the_next_release(tmp_path: Path, template: Path) -> None:
    releases = tmp_path / "releases"
    shutil.copytree(template, releases)
    project = add_own_code(create_project(tmp_path / "project", releases, "--checkout", create_tag(releases, "v1.0.0")))
    commit(project.path)
    generated = releases / PROJECT_TEMPLATE.name
    main = generated / "app/main.py"  # the owner's line is near its end
    main.write_text("# of release 1.1\n" + main.read_text("utf-8"), "utf-8")
    (generated / "app/added.py").write_text("ADDED = True\n", encoding="utf-8")
    (generated / "app/iris.json").unlink()
    commit(releases)
    create_tag(releases, "v1.1.0")
    (generated / "app/unreleased.py").write_text("", encoding="utf-8")
    commit(releases)

    updated = project.run(["cruft", "update", "--skip-apply-ask", "--checkout", "v1.1.0"])
    cookiecutter = ["cookiecutter", "--checkout", "v1.1.0", f"git+{releases.as_uri()}", "--default-config"]
    generated_anew = project.run([*cookiecutter, "--no-input", "-o", str(tmp_path / "new")])
    assert "Next steps:" in generated_anew.stdout
    assert "Next steps:" not in updated.stdout
    new_project = add_own_code(Project(tmp_path / "new" / project.path.name, {}, ()))
    assert not (new_project.path / "app/iris.json").exists()
    assert read_files(project) == read_files(new_project)


def test_an_update_uses_the_base_image_of_the_new_release(tmp_path: Path, template: Path) -> None:
    """cruft stores private variables in .cruft.json, but it does not use the stored ones again."""
    releases = tmp_path / "releases"
    shutil.copytree(template, releases)
    project = create_project(tmp_path / "project", releases, "--extra-context", '{"python_version": "3.15"}')
    commit(project.path)
    settings = releases / "cookiecutter.json"
    prompts = json.loads(settings.read_text("utf-8"))
    version = prompts["_python_versions"]["3.15"]
    dockerfile = project.path / "Dockerfile"
    assert dockerfile.read_text("utf-8").count(version["base_image"]) == 2
    assert "AWS said" in dockerfile.read_text("utf-8")
    version |= {"base_image": "registry.example/python:3.15.1", "status": "supported"}
    settings.write_text(json.dumps(prompts), encoding="utf-8")
    commit(releases)

    project.run(["cruft", "update", "--skip-apply-ask"])
    text = dockerfile.read_text("utf-8")
    assert re.findall(r"(?m)^FROM (?:--\S+ )?(\S+)", text) == ["registry.example/python:3.15.1"] * 2
    assert "AWS said" not in text
    state = json.loads((project.path / ".cruft.json").read_text("utf-8"))
    assert state["context"]["cookiecutter"]["_python_versions"]["3.15"] == version


def test_the_guide_has_a_section_for_every_change_of_an_option() -> None:
    changes = {
        (option, old, new) for option, choices in MANIFEST.items() for old, new in itertools.permutations(choices, 2)
    }
    assert guide_sections().keys() == changes


def test_the_guide_mentions_every_other_prompt() -> None:
    free_text = {"project_name", "description"}  # only the files that contain them change
    prompts = {name for name in PROMPTS if not name.startswith("_")} - MANIFEST.keys() - free_text
    headings = "\n".join(re.findall(r"(?m)^## .*", GUIDE.read_text("utf-8")))
    assert [name for name in prompts if f"`{name}`" not in headings] == []
