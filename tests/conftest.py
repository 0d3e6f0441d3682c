"""Bakes each project once for the whole run, whichever of the parallel workers asks first."""

import fcntl
import hashlib
import json
import os
import signal
import warnings
from collections import Counter
from pathlib import Path
from typing import Protocol

import pytest

from tests.baking import CHOICES, COMBINATIONS, Answers, Project, bake_into, lend_venv, name_of
from tests.embedded_aws.docker import engine_architecture
from tests.embedded_aws.docker_registry import EngineMissing, registry_program

# A shell lets what it runs in the background ignore Ctrl-C, and all that the tests start would ignore it too.
signal.signal(signal.SIGINT, signal.default_int_handler)


LONGEST = ("test_own_tests", "test_deploy.py", "test_hostile", "test_change_answer", "test_connections")


class Bake(Protocol):
    def __call__(self, **answers: str) -> Project: ...


@pytest.fixture(scope="session")
def bake(tmp_path_factory: pytest.TempPathFactory) -> Bake:
    """`bake(endpoint="function_url")`: the project for these answers, shared by all tests; copy() it to change it."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def bake(**answers: str) -> Project:
        answers = {name: answer for name, answer in answers.items() if answer != CHOICES.get(name, [None])[0]}
        folder = shared / f"baked-{hashlib.sha256(repr(sorted(answers.items())).encode()).hexdigest()[:8]}"
        return bake_once(folder, answers)

    return bake


def bake_once(folder: Path, answers: Answers) -> Project:
    """Bake, or wait for the worker that is baking the same, or read what was baked."""
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        record = folder / "project.json"
        if not record.exists():
            project = bake_into(folder / "out", answers)
            lend_venv(project.path)
            record.write_text(json.dumps([str(project.path), project.files]), encoding="utf-8")
        path, files = json.loads(record.read_text("utf-8"))
        return Project(Path(path), answers, tuple(files))


@pytest.fixture(scope="session")
def engine() -> str:
    """The architecture that this machine's container engine runs; where there is none, what needs it is skipped."""
    try:
        registry_program()
        return engine_architecture()
    except EngineMissing as error:
        warnings.warn(f"real images are NOT tested on this machine: {error}", stacklevel=1)
        pytest.skip(f"no container engine: {error}")


def pytest_xdist_auto_num_workers() -> int:
    """What `-n auto` means: more than there are processors, since tests often wait for processes of their own."""
    return 2 * (os.cpu_count() or 1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, so that no worker is left with one of them in the end; these by combination, so that deploys,
    which wait for most of their time, run beside own tests, which compute."""
    items.sort(
        key=lambda item: (False, item.name.partition("[")[2]) if item.path.name.startswith(LONGEST) else (True, "")
    )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line for each combination, each image, and all faults: what a person wants to know first."""
    for combination in map(name_of, COMBINATIONS):
        counts = Counter(
            outcome
            for outcome in ("passed", "failed", "error")
            for report in terminalreporter.getreports(outcome)
            if combination in report.nodeid
        )
        if counts:
            said = ", ".join(f"{number} {outcome}" for outcome, number in counts.items())
            terminalreporter.write_line(f"{combination}: {said}")
    faults = Counter[str]()
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        for name, said in report.user_properties:
            if name == "image":
                terminalreporter.write_line(f"image of {said}")
            if name == "figures":
                terminalreporter.write_line(said)
            if name == "faults":
                faults.update(said)
    if faults:
        terminalreporter.write_line("faults: " + ", ".join(f"{number:,} {what}" for what, number in faults.items()))
