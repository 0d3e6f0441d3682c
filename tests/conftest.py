"""The fixtures that all tests share, the order of the tests, and the summary after them."""

import os
import signal
import warnings
from collections import Counter

import pytest
from pytest_cookies.plugin import Cookies

from embedded_aws.containers.docker_engine import engine_architecture
from embedded_aws.ecr.docker_registry import EngineMissing, registry_program
from scripts.projects import CHOICES, COMBINATIONS, Project, combination_name
from tests.support.bake import Bake, bake_project

# A shell lets what it runs in the background ignore Ctrl-C, and all that the tests start would ignore it too.
signal.signal(signal.SIGINT, signal.default_int_handler)


LONGEST = (
    "test_generated_tests",
    "test_every_combination",
    "test_injection",
    "test_change_answer",
    "test_connections",
)


@pytest.fixture(scope="session")
def bake(cookies_session: Cookies) -> Bake:
    """Return a function that bakes the project of some answers once for each worker: `bake(endpoint="http_api")`.

    All tests of a worker share the project. A test that changes it uses `Project.copy`.
    """
    projects: dict[tuple[tuple[str, str], ...], Project] = {}

    def bake(**answers: str) -> Project:
        answers = {name: answer for name, answer in answers.items() if answer != CHOICES.get(name, [None])[0]}
        key = tuple(sorted(answers.items()))
        if key not in projects:
            projects[key] = bake_project(cookies_session, answers)
        return projects[key]

    return bake


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
    for combination in map(combination_name, COMBINATIONS):
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
