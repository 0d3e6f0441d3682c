"""Bakes projects from the template and runs commands in them.

The prompts and their choices come from cookiecutter.json, the options from the manifest.
"""

import importlib.metadata
import itertools
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

TEMPLATE = Path(__file__).resolve().parents[1]
FOLDER = TEMPLATE / "{{cookiecutter.project_slug}}"
PROMPTS: dict[str, Any] = json.loads((TEMPLATE / "cookiecutter.json").read_text("utf-8"))
MANIFEST: dict[str, dict[str, dict[str, list[str]]]] = tomllib.loads((FOLDER / "options.toml").read_text("utf-8"))
PRICES: dict[str, Any] = tomllib.loads(  # of all answers
    re.sub(r"{%.*%}\n", "", (FOLDER / "deploy/prices.toml").read_text("utf-8"))
)

Answers = Mapping[str, str]

CHOICES: dict[str, list[str]] = {name: choices for name, choices in PROMPTS.items() if isinstance(choices, list)}
COMBINATIONS = [dict(zip(MANIFEST, row, strict=True)) for row in itertools.product(*(CHOICES[o] for o in MANIFEST))]
# Prompts that are no options (python_version, architecture) need each value once, not in every combination.
OTHERS = [name for name in CHOICES if name not in MANIFEST]
OTHER_ANSWERS = [
    {name: choice for name, choice in zip(OTHERS, row, strict=True) if choice}
    for row in itertools.zip_longest(*(CHOICES[name][1:] for name in OTHERS))
]
EVERY_BAKE = COMBINATIONS + OTHER_ANSWERS


def name_of(answers: Answers) -> str:
    """The answers as a person would say them: function_url-ssm-none-accept."""
    return "-".join(answers.values())


@dataclass(frozen=True)
class Project:
    """A baked project: where it is, the answers it was baked with, and the files it had then."""

    path: Path
    answers: Answers
    files: tuple[str, ...] = field(repr=False)

    def run(
        self,
        command: str | Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        check: bool = True,
        timeout_s: float = 300,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the project as its owner would; raises AssertionError when it fails, unless told not to."""
        result = subprocess.run(
            shlex.split(command) if isinstance(command, str) else command,
            cwd=self.path,
            env={**environment(self.path), **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=timeout_s,
        )
        if check and result.returncode != 0:
            raise AssertionError(
                f"{command} in {self.path} ended with {result.returncode}\n{result.stdout}{result.stderr}"
            )
        return result

    def copy(self, folder: Path) -> "Project":
        """A copy of it that a test may change."""
        return Project(shutil.copytree(self.path, folder / self.path.name, symlinks=True), self.answers, self.files)

    def edit(self, file: str, old: str, new: str) -> None:
        """Put this in the place of that, once; raises AssertionError when the file does not say it."""
        text = (self.path / file).read_text("utf-8")
        assert old in text, f"{file}: {old}"
        (self.path / file).write_text(text.replace(old, new, 1), "utf-8")

    def texts(self) -> Iterator[tuple[str, str]]:
        """Each text file as it was baked: its name and what it says."""
        for name in self.files:
            content = (self.path / name).read_bytes()
            if b"\0" not in content:
                yield name, content.decode("utf-8")


def bake_into(folder: Path, answers: Answers | None = None) -> Project:
    """Bake with these answers, the defaults for the rest; raises AssertionError when the template refuses."""
    given = [f"{name}={answer}" for name, answer in (answers or {}).items()]
    result = cookiecutter(folder, "--no-input", *given)
    if result.returncode != 0:
        raise AssertionError(f"no project for {given}:\n{result.stdout}{result.stderr}")
    (path,) = (made for made in folder.iterdir() if made.is_dir())
    files = tuple(sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if not file.is_dir()))
    return Project(path, dict(answers or {}), files)


def cookiecutter(folder: Path, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    """Run the cookiecutter command on the template: what comes out in the folder, what is printed, the exit code."""
    folder.mkdir(parents=True, exist_ok=True)
    return subprocess.run(
        [sys.executable, "-m", "cookiecutter", str(TEMPLATE), "--default-config", "-o", str(folder), *arguments],
        cwd=folder,
        env=environment(folder),
        input=typed,
        capture_output=True,
        encoding="utf-8",
    )


def environment(project: Path) -> dict[str, str]:
    """What a project's commands see: its .venv first, a HOME of their own, none of this machine's AWS settings."""
    kept = ("LANG", "LC_", "TMPDIR", "PIP_", "UV_", "SSL_CERT_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SYSTEMROOT")
    home = project.parent / "home"
    home.mkdir(exist_ok=True)
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    return {
        **{name: value for name, value in os.environ.items() if name.upper().startswith(kept)},
        "PATH": os.pathsep.join([str(project / ".venv/bin"), os.environ["PATH"]]),
        "HOME": str(home),
        "COLUMNS": "120",
        "PYTHONUTF8": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTEST_ADDOPTS": "-p no:cacheprovider",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # a project's own .venv has none of the plugins of the venv that is lent
        "RUFF_NO_CACHE": "true",
        "MYPY_CACHE_DIR": str(TEMPLATE / ".cache/mypy" / worker),
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def lend_venv(project: Path, *, check: bool = True) -> None:
    """Give a project a .venv whose packages are those of the venv that runs the tests: nothing is installed twice.

    It is a virtual environment of its own: installing into it leaves the lender as it is. That by which deploy.sh and
    the Makefile know what is installed is put there only when it is installed: all pins are compared first.
    """
    folder = project / ".venv"
    venv.create(folder, symlinks=True)  # a copy of Debian's Python takes 32 MB in each of a thousand projects
    packages = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder)}))
    (packages / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    for program in (Path(sys.prefix) / "bin").iterdir():
        if not (folder / "bin" / program.name).exists() and not program.name.startswith("pip"):
            (folder / "bin" / program.name).symlink_to(program)
    for requirements in project.glob("requirements*.txt"):
        if check and (missing := not_installed(requirements)):
            raise AssertionError(f"{requirements.name} is not what .venv holds; `make lock`, then try again: {missing}")
        shutil.copyfile(requirements, folder / requirements.name)


def pins(requirements: Path) -> Iterator[Requirement]:
    """The `name==version ; marker` lines of a locked file."""
    for line in requirements.read_text("utf-8").splitlines():
        if line and line[0].isalnum():
            yield Requirement(line.removesuffix("\\").strip())


def not_installed(requirements: Path) -> list[str]:
    """The pins for this machine that the running venv does not satisfy."""
    return [
        str(pin)
        for pin in pins(requirements)
        if (pin.marker is None or pin.marker.evaluate()) and not is_installed(pin)
    ]


def is_installed(pin: Requirement) -> bool:
    try:
        return pin.specifier.contains(importlib.metadata.version(pin.name), prereleases=True)
    except importlib.metadata.PackageNotFoundError:
        return False
