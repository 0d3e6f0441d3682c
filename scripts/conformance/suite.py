"""Install FastAPI's own tests, in the version that generated projects pin, and run them with `plugin.py`."""

import hashlib
import json
import random
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uv import find_uv_bin

from scripts.cached_venv import CACHE
from scripts.command_line import ScriptError
from scripts.lock import split_by_package
from scripts.projects import Project, pinned_requirements, project_environment

HERE = Path(__file__).parent
REQUIREMENTS = HERE / "requirements.txt"
OLDEST = HERE / "oldest/requirements.txt"
PLUGINS = ("plugin", "anyio.pytest_plugin", "inline_snapshot.pytest_plugin", "pytest_timeout")
TIMEOUT_S = 60  # for each test; FastAPI's own limit is 20 s, which is short for two runs on two cores
TESTS_FAILED = 1  # an exit code of pytest
BENCHMARKS = ("benchmarks", "memory_benchmarks")  # folders without tests of responses


@dataclass(frozen=True)
class Recording:
    """The outcomes and responses of a run, by the ID of the test. `plugin.py` records them."""

    outcomes: dict[str, str]
    responses: dict[str, list[dict[str, Any]]]


def fastapi_version(requirements: Path = REQUIREMENTS) -> str:
    """Return the version of FastAPI that a locked file pins."""
    (specifier,) = next(pin.specifier for pin in pinned_requirements(requirements) if pin.name == "fastapi")
    return specifier.version


def install_suite() -> Path:
    """Return the folder of FastAPI's tests, which contains their virtual environment `venv`.

    Raise ScriptError if a download fails.
    """
    return install(REQUIREMENTS, unpack_source)


def install_oldest() -> Path:
    """Return a folder with a virtual environment `venv` for the oldest supported FastAPI.

    Raise ScriptError if a download fails.
    """
    return install(OLDEST, lambda folder: None)


def install(requirements: Path, prepare: Callable[[Path], None]) -> Path:
    """Return a folder in .cache with the virtual environment `venv`. Raise ScriptError if a download fails.

    On first use, create the folder and call `prepare` with it.
    """
    key = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:16]
    folder = CACHE / "conformance" / key
    if is_complete(folder):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=folder.parent))
    try:
        venv.create(draft / "venv", symlinks=True)
        options = ["--python", str(draft / "venv/bin/python"), "--require-hashes", "-r", str(requirements)]
        download([find_uv_bin(), "pip", "install", *options])
        prepare(draft)
        if not is_complete(folder):
            shutil.rmtree(folder, ignore_errors=True)
            with suppress(OSError):  # another process has installed it in the meantime
                draft.rename(folder)
        return folder
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def is_complete(folder: Path) -> bool:
    """Return True if the folder exists, and also the Python that its virtual environment links to."""
    return (folder / "venv/bin/python").exists()


def unpack_source(folder: Path) -> None:
    """Download the source distribution of FastAPI, whose hash is pinned, and unpack it without the package."""
    text = REQUIREMENTS.read_text("utf-8")
    (folder / "fastapi.txt").write_text(split_by_package(text)["fastapi"], "utf-8")
    options = ["--no-deps", "--no-build-isolation", "--no-binary=fastapi", "--require-hashes", "--dest", str(folder)]
    # The virtual environment contains the build backend, with which pip reads the metadata.
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "venv/bin/python")]
    download([*pip, "download", *options, "-r", str(folder / "fastapi.txt")])
    (archive,) = folder.glob("fastapi-*.tar.gz")
    with tarfile.open(archive) as source:
        root = archive.name.removesuffix(".tar.gz")
        for member in source.getmembers():
            member.name = member.name.removeprefix(f"{root}/")
            if not member.name.startswith("fastapi/"):  # the tests import the installed package
                source.extract(member, folder, filter="data")


def download(command: list[str]) -> None:
    """Run a command. Raise ScriptError with its output if it fails."""
    result = subprocess.run(command, capture_output=True, encoding="utf-8")
    if result.returncode != 0:
        raise ScriptError(f"FastAPI's tests could not be installed: {result.stderr or result.stdout}")


def sample_files(suite: Path, number: int, seed: int) -> list[str]:
    """Return a random sample of the files of tests."""
    files = [file.relative_to(suite).as_posix() for file in (suite / "tests").rglob("test_*.py")]
    files = [file for file in files if file.split("/")[1] not in BENCHMARKS]
    return sorted(random.Random(seed).sample(sorted(files), number))  # noqa: S311 - not used for security


def record_both(suite: Path, project: Project, files: Sequence[str], folder: Path) -> tuple[Recording, Recording]:
    """Run tests with TestClient and, at the same time, through the handler of a project. Return both recordings.

    Write the recordings and the output of pytest to a folder. Raise ScriptError if pytest cannot run the tests.
    """
    with ThreadPoolExecutor() as pool:
        expected = pool.submit(record, suite, project, files, folder / "test-client.json")
        option = f"--project={project.path}"
        actual = pool.submit(record, suite, project, files, folder / "handler.json", option)
        return expected.result(), actual.result()


def record(suite: Path, project: Project, files: Sequence[str], file: Path, *options: str) -> Recording:
    """Run tests with `plugin.py`, and return what it recorded."""
    command = [str(suite / "venv/bin/python"), "-m", "pytest", "-c", "pyproject.toml", "-p", "no:cacheprovider"]
    command += [argument for plugin in PLUGINS for argument in ("-p", plugin)]
    command += [f"--ignore=tests/{folder}" for folder in BENCHMARKS]
    command += ["-W", "ignore::ResourceWarning"]  # an environment whose start fails leaves its event loop open
    command += ["--quiet", "--tb=native", f"--timeout={TIMEOUT_S}", f"--record={file}", *options, *files]
    env = project_environment(project.path) | {
        "PYTHONPATH": str(HERE),
        "PYTHONHASHSEED": "0",  # the order of sets is part of some responses
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTHONPYCACHEPREFIX": str(suite / "pycache"),
    }
    file.unlink(missing_ok=True)
    with file.with_suffix(".log").open("w") as log:
        result = subprocess.run(command, cwd=suite, env=env, stdout=log, stderr=subprocess.STDOUT)
    if result.returncode not in (0, TESTS_FAILED) or not file.exists():
        raise ScriptError(f"pytest exited with code {result.returncode}, see {log.name}")
    return Recording(**json.loads(file.read_text("utf-8")))
