"""`make lock`: pins the newest versions of all dependencies, with hashes, in the generated project and in the template.

One resolution covers both, so that one virtual environment can run the template's tests and every baked project's.
Each baked project that depends on something of its own is then locked by its own `make lock`, within those versions;
packages that only some of them need, or that some do not, are put between Jinja conditions.
"""

import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path

from scripts.projects import CHOICES, MANIFEST, PROJECT_TEMPLATE, TEMPLATE, generate_project, share_venv

FILES = ("requirements.txt", "requirements-deploy.txt", "requirements-dev.txt")
COMPILE = ["uv", "pip", "compile", "--universal", "--generate-hashes", "--no-annotate", "--upgrade", "--quiet"]
PEERS = TEMPLATE / "benchmarks/peers"
ALONE = {"chalice"}  # whose own packager leaves out what it is installed with
HEADER = {"UV_CUSTOM_COMPILE_COMMAND": "make lock"}
EXTRA_INDEXES = ("UV_FIND_LINKS", "UV_INDEX", "UV_EXTRA_INDEX_URL")


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        projects = variants(Path(scratch))
        say(f"Resolving the template and {len(projects)} variant(s) of the generated project together...")
        sources = [f"--group={TEMPLATE / 'pyproject.toml'}:dev"]
        for project in projects.values():
            sources += [str(project / "pyproject.toml"), f"--group={project / 'pyproject.toml'}:dev"]
        everything = Path(scratch, "requirements.txt")
        run(COMPILE + sources + ["--output-file", str(everything)], TEMPLATE)
        write(TEMPLATE / "requirements.txt", everything.read_text("utf-8"))
        for condition, project in projects.items():
            say(f"Locking the generated project {'if ' + condition if condition else 'by default'}...")
            share_venv(project, check=False)  # its `make lock` needs only uv
            run(["make", "lock"], project, UV_CONSTRAINT=str(everything))
        for file in FILES:
            texts = {condition: (project / file).read_text("utf-8") for condition, project in projects.items()}
            write(PROJECT_TEMPLATE / file, merged(texts))
        for needed in sorted(PEERS.glob("*/requirements.in")):
            say(f"Locking what {needed.parent.name} needs for the benchmark...")
            locked = Path(scratch, f"{needed.parent.name}.txt")
            options = ["--python-version=3.11", *(["--no-deps"] if needed.parent.name in ALONE else [])]
            command = [*COMPILE, *options, str(needed), "--output-file", str(locked)]
            run(command, TEMPLATE, UV_CONSTRAINT=str(everything))
            write(needed.with_suffix(".txt"), locked.read_text("utf-8"))


def variants(scratch: Path) -> dict[str, Path]:
    """The default project under "", and under the condition of each single answer that changes the dependencies."""
    found: dict[str, Path] = {"": generate_project(scratch / "default").path}
    for option in MANIFEST:
        for choice in CHOICES[option][1:]:
            project = generate_project(scratch / choice, {option: choice}).path
            if dependencies(project) != dependencies(found[""]):
                found[f"cookiecutter.{option} == '{choice}'"] = project
    return found


def dependencies(project: Path) -> object:
    """Return the dependencies in a project's pyproject.toml."""
    pyproject = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))
    return [pyproject["project"].get("dependencies"), pyproject.get("dependency-groups")]


def merged(texts: Mapping[str, str]) -> str:
    """One locked file out of those of all variants; a package that some of them have not stands under a condition."""
    locked = {condition: blocks(text) for condition, text in texts.items()}
    lines = [line for line in texts[""].splitlines(keepends=True) if line.startswith("#")]
    for package in sorted({name for names in locked.values() for name in names}):
        pinned = {condition: names[package] for condition, names in locked.items() if package in names}
        if len(set(pinned.values())) > 1:
            raise SystemExit(f"{package} differs between variants, not just present or absent: {sorted(pinned)}")
        block = next(iter(pinned.values()))
        absent = [condition.replace("==", "!=") for condition in locked if condition not in pinned]
        condition = " and ".join(absent) if "" in pinned else " or ".join(pinned)
        lines.append(f"{{% if {condition} %}}\n{block}{{% endif %}}\n" if condition else block)
    return "".join(lines)


def blocks(text: str) -> dict[str, str]:
    """The lines of each package with its hashes, by the package's name; one that is pinned twice has both under it."""
    found: dict[str, str] = {}
    name = ""
    for line in text.splitlines(keepends=True):
        if line.lstrip().startswith("#"):
            continue
        if not line[0].isspace():
            name = line.partition("==")[0]
        found[name] = found.get(name, "") + line
    return found


def run(command: list[str], folder: Path, **env: str) -> None:
    # Neither this machine's extra indexes nor its paths may show in a locked file.
    others = {name: value for name, value in os.environ.items() if name not in EXTRA_INDEXES}
    result = subprocess.run(command, cwd=folder, env=others | {"UV_NO_CONFIG": "1", **HEADER, **env})
    if result.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with {result.returncode}")


def write(path: Path, text: str) -> None:
    """Write what is new; a file that stays the same keeps its time, so that make installs nothing."""
    if path.exists() and path.read_text("utf-8") == text:
        return
    path.write_text(text, encoding="utf-8", newline="\n")
    say(f"{path.relative_to(TEMPLATE)} changed")


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
