"""Does any text a person may type come out in the project as it was typed, or is it refused in one line?"""

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
    "long text": "It is said: " + "many words " * 17,
    "one character": "x",
}
NAME_LENGTH, DESCRIPTION_LENGTH = 80, 200


def typed(answers: dict[str, str]) -> str:
    """What a person types at the prompts: these answers, a choice by its number, and Enter for the rest."""

    def keys(name: str) -> str:
        answer = answers.get(name, "")
        return str(PROMPTS[name].index(answer) + 1) if answer and isinstance(PROMPTS[name], list) else answer

    return "".join(f"{keys(name)}\n" for name in PROMPTS if not name.startswith("_"))


def project_of(folder: Path, text: str, **choices: str) -> tuple[Project, str, str]:
    """A project whose name and description are this text, with what they were."""
    name, description = text[:NAME_LENGTH].strip(), text[:DESCRIPTION_LENGTH].strip()
    answers = {"project_name": name, "project_slug": "hostile", "description": description, **choices}
    result = run_cookiecutter(folder, typed=typed(answers))
    assert result.returncode == 0, result.stdout + result.stderr
    path = folder / "hostile"
    project = Project(path, answers, project_files(path))
    share_venv(path)
    return project, name, description


@pytest.mark.parametrize("text", TEXTS.values(), ids=list(TEXTS))
def test_a_text_comes_out_as_it_was_typed(tmp_path: Path, text: str) -> None:
    project, name, description = project_of(tmp_path, text)

    for file, content in project.texts():
        if file.endswith(".py"):
            ast.parse(content)
        if file.endswith(".toml"):
            tomllib.loads(content)
    assert tomllib.loads((project.path / "pyproject.toml").read_text("utf-8"))["project"]["description"] == description
    shown = project.run(
        ["python", "-c", "import json, app.main as m; print(json.dumps([m.app.title, m.app.description]))"]
    )
    assert json.loads(shown.stdout)[0] == name
    assert json.loads(shown.stdout)[1] in ("", description)
    assert readme_begins_with(project) == [name, description]

    for check in ("ruff check", "ruff format --check", "shellcheck deploy.sh", "sh -n deploy.sh"):
        project.run(check)
    assert not list(tmp_path.rglob("hacked"))


def readme_begins_with(project: Project) -> list[str]:
    """The heading and the first paragraph of its README, as a reader sees them."""
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse((project.path / "README.md").read_text("utf-8"))
    inlines = [token for token in tokens if token.type == "inline"][:2]
    assert tokens[0].tag == "h1"
    assert {child.type for inline in inlines for child in inline.children or []} <= {"text", "text_special"}
    return ["".join(child.content for child in inline.children or []) for inline in inlines]


def test_a_project_of_all_of_it_passes_its_own_tests(tmp_path: Path) -> None:
    project, _, _ = project_of(tmp_path, "".join(text[:14] for text in TEXTS.values()), **OTHER_ANSWERS[0])
    for check in ("pytest -q", "mypy", "./deploy.sh --help"):
        project.run(check)


def test_without_typing_anything_it_is_the_default_project(bake: Bake, tmp_path: Path) -> None:
    assert run_cookiecutter(tmp_path, typed=typed({})).returncode == 0
    default = bake()
    made = tmp_path / default.path.name
    assert {name: (made / name).read_bytes() for name in default.files} == {
        name: (default.path / name).read_bytes() for name in default.files
    }


@pytest.mark.parametrize("character", ["\t", "\x1b", "\x7f", "\x85", "\u2028", "\u2029"])
def test_a_character_that_no_line_can_hold_is_refused(tmp_path: Path, character: str) -> None:
    for prompt in ("project_name", "description"):
        result = run_cookiecutter(tmp_path, "--no-input", f"{prompt}=two{character}halves")
        assert result.returncode == 1
        assert result.stderr.startswith(f"{prompt} must be one line")
