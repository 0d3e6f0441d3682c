"""Test that the handler responds to FastAPI's own tests as Starlette's TestClient does.

This is a sample. `make test-conformance` runs all of these tests.
"""

import tomllib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scripts.command_line import ScriptError
from scripts.conformance.compare import Explanation, Explanations, Report, compare
from scripts.conformance.suite import (
    OLDEST,
    REQUIREMENTS,
    Recording,
    fastapi_version,
    install_oldest,
    install_suite,
    record_both,
    sample_files,
)
from scripts.projects import PROJECT_TEMPLATE, pinned_requirements
from tests.support.bake import Bake

FILES, SEED = 15, 1
TEST = "tests/test_ws.py::test_send[1]"
RESPONSE = {"request": "GET http://testserver/", "status": 200, "headers": [["Content-Type", "text/plain"]], "body": ""}


def install_or_skip(install: Callable[[], Path]) -> Path:
    """Return what `install` returns. If it cannot download something, skip the test."""
    try:
        return install()
    except ScriptError as error:
        warnings.warn(f"the tests of conformance do NOT run: {error}", stacklevel=1)
        pytest.skip(str(error))


@pytest.fixture
def suite() -> Path:
    """Return the folder of FastAPI's tests."""
    return install_or_skip(install_suite)


def compare_responses(expected: dict[str, Any], actual: dict[str, Any], **explanations: Explanation) -> Report:
    """Compare the responses of one test. Its outcome depends on the status of the response."""
    one, other = (
        Recording({TEST: "passed" if response["status"] == 200 else "failed"}, {TEST: [response]})
        for response in (expected, actual)
    )
    return compare(one, other, Explanations({"x-request-id": "-"}, {"etag": "-"}, explanations))


@pytest.mark.parametrize("endpoint", ["function_url", "http_api"])
def test_a_sample_of_fastapis_tests_gets_the_same_responses(
    bake: Bake, suite: Path, tmp_path: Path, endpoint: str
) -> None:
    expected, actual = record_both(suite, bake(endpoint=endpoint), sample_files(suite, FILES, SEED), tmp_path)
    report = compare(expected, actual, Explanations.load())
    assert report.unexplained == {}
    assert report.requests > FILES
    assert set(expected.outcomes.values()) <= {"passed", "skipped"}


def test_a_fault_of_the_adapter_is_found(bake: Bake, suite: Path, tmp_path: Path) -> None:
    project = bake().copy(tmp_path)
    project.edit("aws_lambda/http_adapter.py", "self._body = super().body", "self._body = super().body[1:]")
    files = ["tests/test_tutorial/test_body/test_tutorial001.py"]
    report = compare(*record_both(suite, project, files, tmp_path), Explanations.load())
    assert any({"status", "body", "outcome"} <= parts.keys() for parts in report.unexplained.values())


def test_the_suite_has_the_version_of_the_service() -> None:
    pins = {pin.name: pin for pin in pinned_requirements(PROJECT_TEMPLATE / "requirements.txt")}
    assert pins["fastapi"].specifier.contains(fastapi_version(REQUIREMENTS))


def test_the_adapter_works_with_the_oldest_supported_fastapi(bake: Bake) -> None:
    folder = install_or_skip(install_oldest)
    project = bake()
    pyproject = tomllib.loads((project.path / "pyproject.toml").read_text("utf-8"))
    (fastapi,) = (line for line in pyproject["project"]["dependencies"] if line.startswith("fastapi"))
    assert f"{fastapi}.0" == f"fastapi>={fastapi_version(OLDEST)}"
    # test_cold_start.py expects that FastAPI imports pydantic.v1, as newer versions do.
    options = ["-W", "ignore", "--ignore=tests/aws_lambda/test_cold_start.py"]
    # The TestClient of the oldest FastAPI needs an older httpx than the one that is pinned.
    options += ["-k", "not (background_task or locally_jobs_of_routes or locally_an_async_job or queued_jobs)"]
    project.run([f"{folder}/venv/bin/python", "-m", "pytest", *options, "tests/aws_lambda"])


@pytest.mark.parametrize(
    "headers",
    [
        [["content-type", "text/plain"], ["x-request-id", "1"]],
        [["content-type", "text/plain"], ["etag", "1"]],
    ],
)
def test_added_and_varying_headers_are_no_difference(headers: list[list[str]]) -> None:
    assert compare_responses(RESPONSE, {**RESPONSE, "headers": headers}).equal == 1


def test_repeated_headers_equal_joined_ones_but_cookies_do_not() -> None:
    for name, equal in (("vary", 1), ("set-cookie", 0)):
        expected = {**RESPONSE, "headers": [[name, "a"], [name, "b"]]}
        assert compare_responses(expected, {**RESPONSE, "headers": [[name, "a,b"]]}).equal == equal


def test_a_difference_without_an_explanation_is_reported() -> None:
    report = compare_responses(RESPONSE, {**RESPONSE, "status": 500})
    assert report.unexplained == {
        TEST: {"status": "request 1, GET http://testserver/: 500 instead of 200", "outcome": "failed instead of passed"}
    }


@pytest.mark.parametrize("entry", ["tests/test_ws.py", "tests/test_ws.py::test_send"])
def test_an_explanation_applies_to_a_file_or_a_function(entry: str) -> None:
    explanation = Explanation("-", ["status", "outcome"], [entry])
    report = compare_responses(RESPONSE, {**RESPONSE, "status": 500}, known=explanation)
    assert (report.unexplained, report.unused, dict(report.explained)) == ({}, [], {"known": 1})


def test_an_explanation_applies_only_to_its_parts() -> None:
    explanation = Explanation("-", ["outcome"], ["tests/test_ws.py"])
    report = compare_responses(RESPONSE, {**RESPONSE, "status": 500}, known=explanation)
    assert report.unexplained.keys() == {TEST}


def test_parts_of_an_explanation_that_no_test_needs_are_reported() -> None:
    explanation = Explanation("-", ["status", "outcome", "body"], ["tests/test_ws.py", "tests/test_other.py"])
    report = compare_responses(RESPONSE, {**RESPONSE, "status": 500}, known=explanation)
    assert report.unused == ["known: tests/test_other.py", "known: body"]


def test_random_values_may_be_equal_by_chance() -> None:
    explanation = Explanation("-", ["body"], ["tests/test_ws.py"], random=True)
    for body in ("", "other"):
        report = compare_responses(RESPONSE, {**RESPONSE, "body": body}, known=explanation)
        assert (report.unexplained, report.unused, dict(report.explained)) == ({}, [], {"known": 1})
