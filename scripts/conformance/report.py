"""Describe the result of a comparison, for the command line and for the README."""

import re
from datetime import UTC, datetime

from scripts.conformance.compare import Explanations, Report
from scripts.conformance.suite import fastapi_version
from scripts.projects import TEMPLATE

README = TEMPLATE / "README.md"
BEGIN, END = (f"<!-- made by `make test-conformance`: {mark} -->" for mark in ("begin", "end"))


def figures(report: Report, explanations: Explanations) -> str:
    """Return a sentence and a table in Markdown with the number of tests for each explanation."""
    lines = [
        f"With FastAPI {fastapi_version()} on {datetime.now(UTC):%Y-%m-%d}, {report.equal:,} of {report.tests:,} tests "
        f"with {report.requests:,} requests pass and get the same responses. These differ:",
        "",
        "| tests | difference |",
        "|--:|---|",
        *(
            f"| {report.explained[name]:,} | {name}: {explanation.reason} |"
            for name, explanation in explanations.tests.items()
        ),
    ]
    return "\n".join(lines) + "\n"


def problems(report: Report) -> list[str]:
    """Return a line for each failed test, unexplained difference, and part of an explanation that no test needs."""
    return [
        *(f"{test}: failed with TestClient" for test in report.failed),
        *(f"{test}: {line}" for test, parts in report.unexplained.items() for line in parts.values()),
        *(f"differences.toml, {line}: no test differs in this way, so remove it" for line in report.unused),
    ]


def publish(text: str) -> None:
    """Replace the text between the marks in the README."""
    readme = README.read_text("utf-8")
    pattern = re.compile(f"{re.escape(BEGIN)}\n.*{re.escape(END)}", re.S)
    README.write_text(pattern.sub(lambda _: f"{BEGIN}\n{text}{END}", readme), "utf-8")
