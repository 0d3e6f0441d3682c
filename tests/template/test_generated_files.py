"""Test that a project consists of exactly the files of its answers, without traces of the template or this machine."""

import re
from pathlib import Path

import pytest

from scripts.projects import (
    ALL_ANSWERS,
    COMBINATIONS,
    MANIFEST,
    PROJECT_TEMPLATE,
    PROMPTS,
    TEMPLATE,
    Answers,
    combination_name,
)
from tests.support.bake import Bake

CODE_BLOCK = re.compile(r"(?ms)^```python\n.*?^```$")
in_every_project = pytest.mark.parametrize("answers", ALL_ANSWERS, ids=combination_name)


def select_choices(answers: Answers) -> dict[str, str]:
    """Return the choice of each option: the answer, or the default without one."""
    return {option: answers.get(option, PROMPTS[option][0]) for option in MANIFEST}


def template_files(folder: Path = PROJECT_TEMPLATE) -> set[str]:
    """Return the files of the template, or of one folder in it, relative to the template."""
    paths = [folder] if folder.is_file() else folder.rglob("*")
    return {path.relative_to(PROJECT_TEMPLATE).as_posix() for path in paths if path.is_file()}


def listed_files(answers: Answers, *, selected: bool) -> set[str]:
    """Return the files that the manifest lists for the selected choices, or for all other choices."""
    selected_choices = select_choices(answers)
    return {
        file
        for option, choices in MANIFEST.items()
        for choice, entry in choices.items()
        if (selected_choices[option] == choice) == selected
        for path in entry["files"]
        for file in template_files(PROJECT_TEMPLATE / path)
    }


@in_every_project
def test_the_files_are_those_of_the_manifest(bake: Bake, answers: Answers) -> None:
    deleted = listed_files(answers, selected=False) - listed_files(answers, selected=True)
    assert set(bake(**answers).files) == template_files() - deleted - {"options.toml"}


@in_every_project
def test_no_folder_is_empty(bake: Bake, answers: Answers) -> None:
    project = bake(**answers)
    expected = {parent for file in project.files for parent in Path(file).parents}
    folders = {
        folder.relative_to(project.path)
        for folder in project.path.rglob("*")
        if folder.is_dir()
        and not folder.is_symlink()
        and ".venv" not in folder.parts
        and "__pycache__" not in folder.parts
    }
    assert folders <= expected


def test_the_manifest_lists_every_choice_of_its_options() -> None:
    assert {option: list(choices) for option, choices in MANIFEST.items()} == {o: PROMPTS[o] for o in MANIFEST}
    assert all(list(entry) == ["files", "words"] for choices in MANIFEST.values() for entry in choices.values())


@in_every_project
def test_no_file_contains_a_word_of_another_choice(bake: Bake, answers: Answers) -> None:
    selected = select_choices(answers)
    words = [
        word
        for option, choices in MANIFEST.items()
        for choice, entry in choices.items()
        if choice != selected[option]
        for word in entry["words"]
    ]
    assert [
        f"{name}: {word}"
        for name, text in bake(**answers).texts()
        for word in words
        if word in f"{name}\n{lower_case(text)}"
    ] == []


def lower_case(text: str) -> str:
    """Return the text in lower case, without "classmethod", which contains "ssm"."""
    return text.lower().replace("classmethod", "")


@pytest.mark.parametrize("answers", COMBINATIONS, ids=combination_name)
def test_a_project_contains_the_words_of_its_choices(bake: Bake, answers: Answers) -> None:
    """Otherwise the test above would search for words that no file contains."""
    project = "\n".join(lower_case(text) for _, text in bake(**answers).texts())
    words = {choice: MANIFEST[option][choice]["words"] for option, choice in answers.items()}
    unused = [choice for choice in words if words[choice] and not any(word in project for word in words[choice])]
    assert unused == []


@in_every_project
def test_no_file_contains_syntax_of_the_template(bake: Bake, answers: Answers) -> None:
    syntax = re.compile(r"(?<!\$)\{\{ |\{%|%\}|\{#|#\}|cookiecutter[._]|endif|jinja", re.IGNORECASE)
    assert [(name, match.group()) for name, text in bake(**answers).texts() if (match := syntax.search(text))] == []


def test_no_braces_are_meant_for_python() -> None:
    """Jinja renders the {{4}} in an f-string such as rf"\\d{{4}}" as 4, and the code stays valid."""
    for name in template_files():
        text = (PROJECT_TEMPLATE / name).read_text("utf-8", errors="replace")
        assert re.findall(r"\{\{[\s\d,]*\}\}", text) == [], name


@in_every_project
def test_no_file_contains_a_path_of_this_machine(bake: Bake, answers: Answers) -> None:
    project = bake(**answers)
    paths = (str(TEMPLATE), str(project.path.parent), str(Path.home()) + "/")
    assert [(name, path) for name, text in project.texts() for path in paths if path in text] == []


@in_every_project
def test_text_files_have_no_stray_white_space(bake: Bake, answers: Answers) -> None:
    errors = []
    for name, text in bake(**answers).texts():
        blank_lines = 2 if name.endswith((".py", ".py.mako")) else 1
        checks = {
            "carriage return": "\r" in text,
            "blank at the end of a line": re.search(r"[ \t]$", text, re.MULTILINE),
            "too many blank lines": "\n" * (blank_lines + 2) in CODE_BLOCK.sub("code", text),
            "blank line at the start": text.startswith("\n"),
            "not exactly one newline at the end": text and (not text.endswith("\n") or text.endswith("\n\n")),
            "tab": "\t" in text and name != "Makefile",
        }
        errors += [(name, error) for error, failed in checks.items() if failed]
    assert errors == []


def test_scripts_are_executable(bake: Bake) -> None:
    project = bake()
    scripts = {name for name, text in project.texts() if text.startswith("#!")}
    assert scripts == {name for name in project.files if (project.path / name).stat().st_mode & 0o100}
    assert "deploy.sh" in scripts
