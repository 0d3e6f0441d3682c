"""Is a baked project exactly what the manifest says, and clean, so that nobody can tell that a template made it?"""

import re
from pathlib import Path

import pytest

from scripts.projects import (
    ALL_ANSWERS,
    COMBINATIONS,
    MANIFEST,
    OTHER_ANSWERS,
    PROJECT_TEMPLATE,
    PROMPTS,
    TEMPLATE,
    Answers,
    combination_name,
)
from tests.support.bake import Bake

PYTHON_IN_PROSE = re.compile(r"(?ms)^```python\n.*?^```$")
every_bake = pytest.mark.parametrize("answers", ALL_ANSWERS, ids=combination_name)


def listed_in(files: list[str]) -> set[str]:
    """The template's files that these entries of the manifest stand for, folders unfolded."""
    paths = [PROJECT_TEMPLATE / file for file in files]
    return {
        file.relative_to(PROJECT_TEMPLATE).as_posix()
        for path in paths
        for file in ([path] if path.is_file() else path.rglob("*"))
        if file.is_file()
    }


def belonging(answers: Answers, *, chosen: bool) -> set[str]:
    """The files that the manifest gives to the answers chosen, or to the others."""
    chosen_now = {option: answers.get(option, PROMPTS[option][0]) for option in MANIFEST}
    return {
        file
        for option, choices in MANIFEST.items()
        for choice, belongs in choices.items()
        if (chosen_now[option] == choice) == chosen
        for file in listed_in(belongs["files"])
    }


@every_bake
def test_the_files_are_those_of_the_manifest(bake: Bake, answers: Answers) -> None:
    everything = {
        file.relative_to(PROJECT_TEMPLATE).as_posix() for file in PROJECT_TEMPLATE.rglob("*") if file.is_file()
    }
    unused = belonging(answers, chosen=False) - belonging(answers, chosen=True)
    assert set(bake(**answers).files) == everything - unused - {"options.toml"}


@every_bake
def test_no_folder_is_left_empty(bake: Bake, answers: Answers) -> None:
    project = bake(**answers)
    folders = {parent for file in project.files for parent in Path(file).parents}
    assert {
        folder.relative_to(project.path)
        for folder in project.path.rglob("*")
        if folder.is_dir()
        and not folder.is_symlink()
        and ".venv" not in folder.parts
        and "__pycache__" not in folder.parts
    } <= folders


def test_the_manifest_knows_every_choice_of_its_options() -> None:
    assert {option: list(choices) for option, choices in MANIFEST.items()} == {o: PROMPTS[o] for o in MANIFEST}
    assert all(list(MANIFEST[o][c]) == ["files", "words"] for o in MANIFEST for c in MANIFEST[o])


@every_bake
def test_no_word_of_an_option_that_was_not_chosen(bake: Bake, answers: Answers) -> None:
    chosen = {option: answers.get(option, PROMPTS[option][0]) for option in MANIFEST}
    words = [w for o in MANIFEST for c in MANIFEST[o] if c != chosen[o] for w in MANIFEST[o][c]["words"]]
    assert [
        f"{name}: {word}"
        for name, text in bake(**answers).texts()
        for word in words
        if word in f"{name}\n{own_words(text)}"
    ] == []


def own_words(text: str) -> str:
    """Return the text in lower case, without "classmethod", which contains "ssm"."""
    return text.lower().replace("classmethod", "")


@pytest.mark.parametrize("answers", COMBINATIONS, ids=combination_name)
def test_the_words_of_an_option_are_in_a_project_that_chose_it(bake: Bake, answers: Answers) -> None:
    """Otherwise the test above would look for words that nobody uses."""
    project = "\n".join(own_words(text) for _, text in bake(**answers).texts())
    chosen = [(option, choice) for option, choice in answers.items() if MANIFEST[option][choice]["words"]]
    assert [(o, c) for o, c in chosen if not any(word in project for word in MANIFEST[o][c]["words"])] == []


@every_bake
def test_nothing_of_the_template_shows(bake: Bake, answers: Answers) -> None:
    marks = re.compile(r"(?<!\$)\{\{ |\{%|%\}|\{#|#\}|cookiecutter[._]|endif|jinja", re.IGNORECASE)
    assert [(name, found.group()) for name, text in bake(**answers).texts() if (found := marks.search(text))] == []


@every_bake
def test_nothing_of_this_machine_shows(bake: Bake, answers: Answers) -> None:
    project = bake(**answers)
    places = (str(TEMPLATE), str(project.path.parent), str(Path.home()) + "/")
    assert [(name, place) for name, text in project.texts() for place in places if place in text] == []


@every_bake
def test_text_files_are_tidy(bake: Bake, answers: Answers) -> None:
    found = []
    for name, text in bake(**answers).texts():
        blank_lines = 2 if name.endswith((".py", ".py.mako")) else 1
        faults = {
            "carriage return": "\r" in text,
            "blank at the end of a line": re.search(r"[ \t]$", text, re.MULTILINE),
            "run of blank lines": "\n" * (blank_lines + 2) in PYTHON_IN_PROSE.sub("code", text),
            "blank line at the start": text.startswith("\n"),
            "not one newline at the end": text and (not text.endswith("\n") or text.endswith("\n\n")),
            "tab": "\t" in text and name != "Makefile",
        }
        found += [(name, fault) for fault, is_so in faults.items() if is_so]
    assert found == []


def test_scripts_can_be_run(bake: Bake) -> None:
    project = bake()
    scripts = {name for name, text in project.texts() if text.startswith("#!")}
    assert scripts == {name for name in project.files if (project.path / name).stat().st_mode & 0o100}
    assert "deploy.sh" in scripts


def test_every_prompt_explains_itself() -> None:
    asked = {name for name in PROMPTS if not name.startswith("_")}
    assert set(PROMPTS["__prompts__"]) == asked
    for name in asked:
        if isinstance(PROMPTS[name], list):
            assert list(PROMPTS["__prompts__"][name]) == ["__prompt__", *PROMPTS[name]]
            assert [line for line in PROMPTS["__prompts__"][name].values() if len(f"    1 - {line}") > 80] == []


@pytest.mark.parametrize("answers", OTHER_ANSWERS, ids=combination_name)
def test_an_answer_reaches_the_project(bake: Bake, answers: Answers) -> None:
    default = dict(bake().texts())
    changed = {
        line
        for file, text in bake(**answers).texts()
        for line in set(text.splitlines()) - set(default[file].splitlines())
    }
    assert [answer for answer in answers.values() if not any(answer in line for line in changed)] == []
