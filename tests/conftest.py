"""The fixtures that all tests share, the order of the tests, and the summary at the end."""

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

# A shell starts background jobs with SIGINT ignored, and the processes that the tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

LONGEST = (
    "test_generated_tests",
    "test_every_combination",
    "test_injection",
    "test_change_answer",
    "test_recipe_move_in",
    "test_connections",
)


@pytest.fixture(scope="session")
def bake(cookies_session: Cookies) -> Bake:
    """Return a function that bakes the project of some answers once for each worker: `bake(endpoint="http_api")`.

    All tests of a worker share the project. A test that changes it uses `Project.copy`.
    """
    projects: dict[frozenset[tuple[str, str]], Project] = {}

    def bake(**answers: str) -> Project:
        defaults = {name: choices[0] for name, choices in CHOICES.items()}
        different = {name: answer for name, answer in answers.items() if answer != defaults.get(name)}
        key = frozenset(different.items())
        if key not in projects:
            projects[key] = bake_project(cookies_session, different)
        return projects[key]

    return bake


@pytest.fixture(scope="session")
def engine() -> str:
    """Return the architecture that this machine's container engine runs. Without an engine, skip the test."""
    try:
        registry_program()
        return engine_architecture()
    except EngineMissing as error:
        warnings.warn(f"real images are NOT tested on this machine: {error}", stacklevel=1)
        pytest.skip(f"no container engine: {error}")


def pytest_xdist_auto_num_workers() -> int:
    """Return the number of workers of `-n auto`: two for each processor, because tests often wait for processes."""
    return 2 * (os.cpu_count() or 1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the longest tests first, so that no worker runs one of them at the end while the others are idle.

    They are sorted by combination, so that deploys, which mostly wait, run at the same time as the generated tests,
    which use the processor.
    """
    longest = [item for item in items if item.path.name.startswith(LONGEST)]
    others = [item for item in items if not item.path.name.startswith(LONGEST)]
    items[:] = sorted(longest, key=lambda item: item.name.partition("[")[2]) + others


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print one line for each combination, for each image, for each figure, and for all faults together."""
    for combination in map(combination_name, COMBINATIONS):
        counts = Counter(
            outcome
            for outcome in ("passed", "failed", "error")
            for report in terminalreporter.getreports(outcome)
            if combination in report.nodeid
        )
        if counts:
            numbers = ", ".join(f"{number} {outcome}" for outcome, number in counts.items())
            terminalreporter.write_line(f"{combination}: {numbers}")
    faults = Counter[str]()
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        for name, value in report.user_properties:
            if name == "image":
                terminalreporter.write_line(f"image of {value}")
            if name == "figures":
                terminalreporter.write_line(value)
            if name == "faults":
                faults.update(value)
    if faults:
        terminalreporter.write_line("faults: " + ", ".join(f"{number:,} {name}" for name, number in faults.items()))
