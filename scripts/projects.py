"""Generate projects from the template, and run commands in them.

The prompts and their choices come from cookiecutter.json, the options from options.toml, the manifest.
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
PROJECT_TEMPLATE = TEMPLATE / "{{cookiecutter.project_slug}}"
PROMPTS: dict[str, Any] = json.loads((TEMPLATE / "cookiecutter.json").read_text("utf-8"))
# The base images of AWS, until when they and the Python versions are supported, and the sources of this information.
PYTHON_VERSIONS: dict[str, dict[str, Any]] = PROMPTS["_python_versions"]
MANIFEST: dict[str, dict[str, dict[str, list[str]]]] = tomllib.loads(
    (PROJECT_TEMPLATE / "options.toml").read_text("utf-8")
)
PRICES: dict[str, Any] = tomllib.loads(  # without the Jinja conditions, so that it contains the prices of all answers
    re.sub(r"{%.*%}\n", "", (PROJECT_TEMPLATE / "deploy/prices.toml").read_text("utf-8"))
)

Answers = Mapping[str, str]

CHOICES: dict[str, list[str]] = {name: choices for name, choices in PROMPTS.items() if isinstance(choices, list)}
COMBINATIONS = [
    dict(zip(MANIFEST, row, strict=True)) for row in itertools.product(*(CHOICES[name] for name in MANIFEST))
]
# Each choice of the other prompts (python_version, architecture) is tested once, not in every combination.
OTHER_PROMPTS = [name for name in CHOICES if name not in MANIFEST]
OTHER_ANSWERS = [
    {name: choice for name, choice in zip(OTHER_PROMPTS, row, strict=True) if choice}
    for row in itertools.zip_longest(*(CHOICES[name][1:] for name in OTHER_PROMPTS))
]
ALL_ANSWERS = COMBINATIONS + OTHER_ANSWERS


def combination_name(answers: Answers) -> str:
    """Return the name of a combination, which consists of its answers: function_url-ssm-none-accept."""
    return "-".join(answers.values())


@dataclass(frozen=True)
class Project:
    """A generated project.

    `answers` are the answers that differ from the defaults. `files` are the paths of the files that were generated,
    relative to `path`.
    """

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
        """Run a command in the project with `project_environment` and the variables `env`.

        Raise AssertionError if it fails and `check` is true.
        """
        result = subprocess.run(
            shlex.split(command) if isinstance(command, str) else command,
            cwd=self.path,
            env={**project_environment(self.path), **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=timeout_s,
        )
        if check and result.returncode != 0:
            raise AssertionError(
                f"{command} in {self.path} exited with code {result.returncode}\n{result.stdout}{result.stderr}"
            )
        return result

    def copy(self, folder: Path) -> "Project":
        """Return a copy of the project in a folder."""
        return Project(shutil.copytree(self.path, folder / self.path.name, symlinks=True), self.answers, self.files)

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace the first occurrence of a text in a file. Raise AssertionError if the file does not contain it."""
        text = (self.path / file).read_text("utf-8")
        assert old in text, f"{file} does not contain {old!r}"
        (self.path / file).write_text(text.replace(old, new, 1), "utf-8")

    def texts(self) -> Iterator[tuple[str, str]]:
        """Iterate over the names and contents of the generated text files."""
        for name in self.files:
            content = (self.path / name).read_bytes()
            if b"\0" not in content:
                yield name, content.decode("utf-8")


class InvalidAnswers(Exception):
    """The template refuses an answer. The message is the one that cookiecutter prints."""


def generate_project(folder: Path, answers: Answers | None = None) -> Project:
    """Generate a project in an empty folder, with the defaults for all other prompts.

    Raise InvalidAnswers if the template refuses an answer.
    """
    result = run_cookiecutter(folder, "--no-input", *(f"{name}={answer}" for name, answer in (answers or {}).items()))
    if result.returncode != 0:
        message = (result.stderr.strip() or f"cookiecutter exited with code {result.returncode}").splitlines()[-1]
        raise InvalidAnswers(re.sub(r".* has no attribute '(.*)'$", r"\1", message))  # an invalid project_slug
    (path,) = (path for path in folder.iterdir() if path.is_dir())
    return Project(path, dict(answers or {}), project_files(path))


def project_files(path: Path) -> tuple[str, ...]:
    """Return the sorted paths of the files in a folder and its subfolders, relative to it."""
    return tuple(sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if not file.is_dir()))


def run_cookiecutter(
    folder: Path, *arguments: str, typed: str = "", configuration: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command cookiecutter on the template, with `folder` for its output and `typed` as its standard input.

    `configuration` is the configuration file of the user.
    """
    folder.mkdir(parents=True, exist_ok=True)
    env = project_environment(folder)
    settings = ["--config-file", str(configuration)] if configuration else ["--default-config"]
    env["TMPDIR"] = env["HOME"]  # cookiecutter does not delete the temporary files of hooks
    return subprocess.run(
        [sys.executable, "-m", "cookiecutter", str(TEMPLATE), *settings, "-o", str(folder), *arguments],
        cwd=folder,
        env=env,
        input=typed,
        capture_output=True,
        encoding="utf-8",
    )


def project_environment(project: Path) -> dict[str, str]:
    """Return the environment variables for the commands of a project.

    Its .venv comes first in PATH, HOME is a folder next to the project, and no AWS settings of this machine remain.
    """
    prefixes = (
        "LANG",
        "LC_",
        "TMPDIR",
        "PIP_",
        "UV_",
        "SSL_CERT_",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "NO_PROXY",
        "SYSTEMROOT",
    )
    home = project.parent / "home"
    home.mkdir(exist_ok=True)
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    return {
        **{name: value for name, value in os.environ.items() if name.upper().startswith(prefixes)},
        "PATH": os.pathsep.join([str(project / ".venv/bin"), os.environ["PATH"]]),
        "HOME": str(home),
        "COLUMNS": "120",
        "PYTHONUTF8": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTEST_ADDOPTS": "-p no:cacheprovider",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # plugins of the shared packages, which the project does not have
        "RUFF_NO_CACHE": "true",
        "MYPY_CACHE_DIR": str(TEMPLATE / ".cache/mypy" / worker),
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def share_venv(project: Path, *, check: bool = True) -> None:
    """Create a .venv in a project that contains the packages of the running virtual environment, without installing.

    Installing a package into it does not change the running virtual environment. deploy.sh and the Makefile of the
    project compare the requirements files in .venv with their own to decide whether to install. Raise AssertionError
    if `check` is true and a pinned version is not installed.
    """
    folder = project / ".venv"
    venv.create(folder, symlinks=True)  # a copy of Debian's Python would take 32 MB in each project
    packages = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder)}))
    (packages / "shared.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    for program in (Path(sys.prefix) / "bin").iterdir():
        if not (folder / "bin" / program.name).exists() and not program.name.startswith("pip"):
            (folder / "bin" / program.name).symlink_to(program)
    for requirements in project.glob("requirements*.txt"):
        if check and (missing := missing_packages(requirements)):
            raise AssertionError(
                f"{requirements.name} pins versions that are not installed in .venv. Run `make lock`: {missing}"
            )
        shutil.copyfile(requirements, folder / requirements.name)


def pinned_requirements(requirements: Path) -> Iterator[Requirement]:
    """Iterate over the lines `name==version ; marker` of a locked file."""
    for line in requirements.read_text("utf-8").splitlines():
        if line and line[0].isalnum():
            yield Requirement(line.removesuffix("\\").strip())


def missing_packages(requirements: Path) -> list[str]:
    """Return the pins for this machine that are not installed in the running virtual environment."""
    return [
        str(pin)
        for pin in pinned_requirements(requirements)
        if (pin.marker is None or pin.marker.evaluate()) and not is_installed(pin)
    ]


def is_installed(pin: Requirement) -> bool:
    """Return True if the running virtual environment contains a version that satisfies the pin."""
    try:
        return pin.specifier.contains(importlib.metadata.version(pin.name), prereleases=True)
    except importlib.metadata.PackageNotFoundError:
        return False
