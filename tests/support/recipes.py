"""Follow the recipes of a generated project: create their new files, and apply their changes."""

import re
from dataclasses import dataclass
from pathlib import Path

from scripts.projects import Project

FENCE = re.compile(r"`([\w./]+)`(?:, and after it `make lock`)?:\n\n```(\w+)\n(.*?)\n```\n", re.DOTALL)
IMPORT = re.compile(r"(from \S+ import )(.*)")


@dataclass(frozen=True)
class Step:
    """A fenced block: the file that it changes, the language of the block, and its text."""

    file: str
    language: str
    text: str


def recipes(project: Project) -> dict[str, list[Step]]:
    """Return the steps of each recipe by its heading."""
    _, *sections = (project.path / "RECIPES.md").read_text("utf-8").split("\n## ")
    found = {}
    for section in sections:
        steps = [Step(*step) for step in FENCE.findall(section)]
        fences = [line for line in section.splitlines() if line.startswith("```") and line not in ("```", "```sh")]
        assert len(steps) == len(fences), f"a block without its file: {section.partition(chr(10))[0]}"
        found[section.partition("\n")[0]] = steps
    return found


def follow(project: Project, steps: list[Step]) -> None:
    """Apply the steps. Raise AssertionError if the lines around a change are not in its file exactly once."""
    for step in steps:
        file = project.path / step.file
        if step.language != "diff":
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(step.text + "\n", "utf-8")
            continue
        text = file.read_text("utf-8")
        for hunk in step.text.split("\n@@\n"):
            text = changed(text, hunk.splitlines(), step.file)
        file.write_text(text, "utf-8")
        if step.file == "pyproject.toml":
            lock(project.path)


def changed(text: str, hunk: list[str], file: str) -> str:
    """Return the text with a hunk applied, unless an earlier recipe has applied the same one."""
    old = "".join(f"{line[1:]}\n" for line in hunk if not line.startswith("+"))
    new = "".join(f"{line[1:]}\n" for line in hunk if not line.startswith("-"))
    lines = f"\n{text}"
    if f"\n{old}" not in lines and len(hunk) == 2 and (pair := [IMPORT.match(line[1:]) for line in hunk])[0]:
        old, new = longer_import(text, [(one[1], one[2].split(", ")) for one in pair if one])
    if f"\n{new}" in lines and len(new) > len(old):
        return text
    assert lines.count(f"\n{old}") == 1, f"{file} does not hold this once:\n{old}"
    return lines.replace(f"\n{old}", f"\n{new}", 1)[1:]


def longer_import(text: str, pair: list[tuple[str, list[str]]]) -> tuple[str, str]:
    """Return the line and its replacement for an import to which another recipe has added names."""
    (start, before), (_, after) = pair
    line = next(line for line in text.splitlines() if line.startswith(start))
    names = {*line.removeprefix(start).split(", "), *after} - ({*before} - {*after})
    return f"{line}\n", f"{start}{', '.join(sorted(names))}\n"


BOTO3 = ("boto3==", "botocore==", "jmespath==", "python-dateutil==", "s3transfer==", "six==", "urllib3==")


def lock(project: Path) -> None:
    """Do what `make lock` does for boto3 as a dependency of the service. It is a development dependency already."""
    own, all_of_them = (
        re.split(r"(?m)^(?=[a-z])", (project / name).read_text("utf-8"))[1:]
        for name in ("requirements.txt", "requirements-dev.txt")
    )
    packages = own + [package for package in all_of_them if package.startswith(BOTO3)]
    (project / "requirements.txt").write_text("".join(sorted(set(packages))), "utf-8")
