"""Test that any text typed at the prompts appears unchanged in the project and is never executed."""

import ast
import json
import tomllib
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from scripts.projects import OTHER_ANSWERS, PROMPTS, Project, project_files, run_cookiecutter, share_venv
from tests.support.bake import Bake

TEXTS = {
    "quotes": """It's a "quoted" 'name' `here` “there” ''' \"\"\" '""",
    "backslashes": r"C:\new\table \" \' \\ \u0041 \x41 \N{BULLET} \ ",
    "unicode": "Größe, Čeština, Ελληνικά, 日本語, עברית, العربية, naïve",
    "emoji": "🚀 for 👩‍💻 and 🏳️‍🌈 👍🏽",
    "jinja": "{{ 7 * 7 }} {% if x %} {# gone #} {{ cookiecutter }} {%- raw -%}",
    "shell": "$(touch hacked) `touch hacked`; touch hacked && echo $HOME ${PATH} | cat > hacked & !! ~ *",
    "markdown": "# *a* _b_ __c__ [d](e) ![f](g) <script>alert(1)</script> &amp; &copy; ~~h~~ | i | <!-- j -->",
    "list": "- 1. + > item: no list, no quote",
    "number": "1. is not a list either",
    "code": "{0} {name} %s %(name)s ${name} #{name} %d%% <%= name %> f'{x}'",
    "toml": '[table] key = "value" # comment',
    "long word": "w" * 200,
    "long text": "A long text: " + "many words " * 17,
    "one character": "x",
}
NAME_LENGTH, DESCRIPTION_LENGTH = 80, 200


def keyboard_input(answers: dict[str, str]) -> str:
    """Return what a person types to give these answers: a choice by its number, and Enter for a default."""

    def line(name: str) -> str:
        answer = answers.get(name, "")
        return str(PROMPTS[name].index(answer) + 1) if answer and isinstance(PROMPTS[name], list) else answer

    return "".join(f"{line(name)}\n" for name in PROMPTS if not name.startswith("_"))


def generate_with_text(folder: Path, text: str, **choices: str) -> tuple[Project, str, str]:
    """Generate a project with this text as its name and its description. Return the project and both answers."""
    name, description = text[:NAME_LENGTH].strip(), text[:DESCRIPTION_LENGTH].strip()
    answers = {"project_name": name, "project_slug": "injection", "description": description, **choices}
    result = run_cookiecutter(folder, typed=keyboard_input(answers))
    assert result.returncode == 0, result.stdout + result.stderr
    path = folder / "injection"
    project = Project(path, answers, project_files(path))
    share_venv(path)
    return project, name, description


@pytest.mark.parametrize("text", TEXTS.values(), ids=list(TEXTS))
def test_a_text_appears_in_the_project_as_it_was_typed(tmp_path: Path, text: str) -> None:
    project, name, description = generate_with_text(tmp_path, text)

    for file, content in project.texts():
        if file.endswith(".py"):
            ast.parse(content)
        if file.endswith(".toml"):
            tomllib.loads(content)
    pyproject = tomllib.loads((project.path / "pyproject.toml").read_text("utf-8"))
    assert pyproject["project"]["description"] == description
    print_texts = "import json, app.main as m; print(json.dumps([m.app.title, m.app.description]))"
    title, api_description = json.loads(project.run(["python", "-c", print_texts]).stdout)
    assert title == name
    assert api_description in ("", description)
    assert readme_texts(project) == [name, description]

    for check in ("ruff check", "ruff format --check", "shellcheck deploy.sh", "sh -n deploy.sh"):
        project.run(check)
    assert not list(tmp_path.rglob("hacked"))


def readme_texts(project: Project) -> list[str]:
    """Return the heading and the first paragraph of the README as a reader sees them."""
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse((project.path / "README.md").read_text("utf-8"))
    inlines = [token for token in tokens if token.type == "inline"][:2]
    assert tokens[0].tag == "h1"
    assert {child.type for inline in inlines for child in inline.children or []} <= {"text", "text_special"}
    return ["".join(child.content for child in inline.children or []) for inline in inlines]


def test_a_project_with_all_special_characters_passes_its_tests(tmp_path: Path) -> None:
    text = "".join(text[:14] for text in TEXTS.values())
    project, _, _ = generate_with_text(tmp_path, text, **OTHER_ANSWERS[0])
    for check in ("pytest -q", "mypy", "./deploy.sh --help"):
        project.run(check)


def test_pressing_enter_at_each_prompt_generates_the_default_project(bake: Bake, tmp_path: Path) -> None:
    assert run_cookiecutter(tmp_path, typed=keyboard_input({})).returncode == 0
    default = bake()
    path = tmp_path / default.path.name
    assert {name: (path / name).read_bytes() for name in default.files} == {
        name: (default.path / name).read_bytes() for name in default.files
    }
