"""Pin the newest versions of all dependencies, with hashes, in the generated project and in the template.

`make lock` resolves the versions for both together, so that one virtual environment can run the tests of the template
and of every generated project. Then it runs `make lock` in the default project and in each project whose dependencies
differ from it, constrained to these versions. Packages that only some projects need get a Jinja condition.
"""

import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path

from scripts.projects import CHOICES, MANIFEST, PROJECT_TEMPLATE, TEMPLATE, generate_project, share_venv

FILES = ("requirements.txt", "requirements-build.txt", "requirements-deploy.txt", "requirements-dev.txt")
COMPILE = ["uv", "pip", "compile", "--universal", "--generate-hashes", "--no-annotate", "--upgrade", "--quiet"]
PEERS = TEMPLATE / "benchmarks/peers"
CONFORMANCE = TEMPLATE / "scripts/conformance"
OLDEST = "oldest"  # the folder that requires the oldest supported versions instead of the same as everything else
WITHOUT_DEPENDENCIES = {"chalice"}  # `chalice package` does not include Chalice's own dependencies
UV_VARIABLES = {"UV_CUSTOM_COMPILE_COMMAND": "make lock"}  # the command that uv writes into the locked files
EXTRA_INDEXES = ("UV_FIND_LINKS", "UV_INDEX", "UV_EXTRA_INDEX_URL")


def main() -> None:
    """Write all locked files at the end, so that an error changes none of them."""
    with tempfile.TemporaryDirectory() as scratch:
        projects = generate_variants(Path(scratch))
        print_progress(f"Resolving the template and {len(projects)} variant(s) of the generated project together...")
        sources = [f"--group={TEMPLATE / 'pyproject.toml'}:dev"]
        for project in projects.values():
            sources += [str(project / "pyproject.toml"), f"--group={project / 'pyproject.toml'}:dev"]
        constraints = Path(scratch, "requirements.txt")
        run(COMPILE + sources + ["--output-file", str(constraints)], TEMPLATE)
        text_by_path = {TEMPLATE / "requirements.txt": constraints.read_text("utf-8")}
        for condition, project in projects.items():
            print_progress(f"Locking the generated project {'if ' + condition if condition else 'by default'}...")
            share_venv(project, check=False)  # its `make lock` needs only uv
            run(["make", "lock"], project, UV_CONSTRAINT=str(constraints))
        for file in FILES:
            texts = {condition: (project / file).read_text("utf-8") for condition, project in projects.items()}
            text_by_path[PROJECT_TEMPLATE / file] = merge(texts)
        for source in sorted([*CONFORMANCE.rglob("requirements.in"), *PEERS.glob("*/requirements.in")]):
            name = source.parent.name
            print_progress(f"Locking the dependencies of {source.relative_to(TEMPLATE).parent}...")
            output = Path(scratch, f"{name}.txt")
            options = ["--python-version=3.11", *(["--no-deps"] if name in WITHOUT_DEPENDENCIES else [])]
            command = [*COMPILE, *options, str(source), "--output-file", str(output)]
            run(command, TEMPLATE, UV_CONSTRAINT="" if name == OLDEST else str(constraints))
            text_by_path[source.with_suffix(".txt")] = output.read_text("utf-8")
    for path, text in text_by_path.items():
        write(path, text)


def generate_variants(scratch: Path) -> dict[str, Path]:
    """Generate the default project and one for each choice that changes the dependencies.

    Return their folders by the Jinja condition of the choice, which is empty for the default project.
    """
    projects: dict[str, Path] = {"": generate_project(scratch / "default").path}
    for option in MANIFEST:
        for choice in CHOICES[option][1:]:
            project = generate_project(scratch / choice, {option: choice}).path
            if dependencies(project) != dependencies(projects[""]):
                projects[f"cookiecutter.{option} == '{choice}'"] = project
    return projects


def dependencies(project: Path) -> object:
    """Return the dependencies in a project's pyproject.toml."""
    pyproject = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))
    return [pyproject["project"].get("dependencies"), pyproject.get("dependency-groups")]


def merge(texts: Mapping[str, str]) -> str:
    """Merge the locked files of all variants, by their condition, into one file with Jinja conditions.

    Exit with an error if two variants pin different versions of a package.
    """
    locked = {condition: split_by_package(text) for condition, text in texts.items()}
    lines = [line for line in texts[""].splitlines(keepends=True) if line.startswith("#")]
    for package in sorted({name for names in locked.values() for name in names}):
        pinned = {condition: names[package] for condition, names in locked.items() if package in names}
        if len(set(pinned.values())) > 1:
            raise SystemExit(f"{package} is pinned to different versions in these variants: {sorted(pinned)}")
        block = next(iter(pinned.values()))
        absent = [condition.replace("==", "!=") for condition in locked if condition not in pinned]
        condition = " and ".join(absent) if "" in pinned else " or ".join(pinned)
        lines.append(f"{{% if {condition} %}}\n{block}{{% endif %}}\n" if condition else block)
    return "".join(lines)


def split_by_package(text: str) -> dict[str, str]:
    """Return the lines of each package with its hashes, by the name of the package, which may be pinned twice."""
    blocks: dict[str, str] = {}
    name = ""
    for line in text.splitlines(keepends=True):
        if line.lstrip().startswith("#"):
            continue
        if not line[0].isspace():
            name = line.partition("==")[0]
        blocks[name] = blocks.get(name, "") + line
    return blocks


def run(command: list[str], folder: Path, **env: str) -> None:
    """Run a command, and exit with an error if it fails."""
    # uv would write the addresses of this machine's additional indexes into a locked file.
    inherited = {name: value for name, value in os.environ.items() if name not in EXTRA_INDEXES}
    result = subprocess.run(command, cwd=folder, env=inherited | {"UV_NO_CONFIG": "1", **UV_VARIABLES, **env})
    if result.returncode != 0:
        raise SystemExit(f"{' '.join(command)} exited with code {result.returncode}")


def write(path: Path, text: str) -> None:
    """Write a file if its text changes. An unchanged file keeps its time, so that make does not install it again."""
    if path.exists() and path.read_text("utf-8") == text:
        return
    path.write_text(text, encoding="utf-8", newline="\n")
    print_progress(f"{path.relative_to(TEMPLATE)} changed")


def print_progress(line: str) -> None:
    """Print a line about the progress."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
