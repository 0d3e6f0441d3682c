"""Compare the outcomes and responses of two runs. `differences.toml` explains the differences that are accepted."""

import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from scripts.conformance.suite import Recording

DIFFERENCES = Path(__file__).with_name("differences.toml")
PARTS = ("request", "error", "status", "body")

Headers = list[list[str]]  # pairs of a name and a value


@dataclass(frozen=True)
class Explanation:
    """The reason why parts of some tests differ. An entry of `tests` is the ID of a function or the path of a file.

    `random` is true if two runs may also agree.
    """

    reason: str
    parts: list[str]
    tests: list[str]
    random: bool = False


@dataclass(frozen=True)
class Explanations:
    """The content of differences.toml."""

    added_headers: dict[str, str]
    varying_headers: dict[str, str]
    tests: dict[str, Explanation]

    @classmethod
    def load(cls) -> Self:
        """Read the file."""
        content = tomllib.loads(DIFFERENCES.read_text("utf-8"))
        content["tests"] = {name: Explanation(**table) for name, table in content["tests"].items()}
        return cls(**content)


@dataclass
class Report:
    """The result of a comparison.

    `explained` is the number of tests for each explanation. `unexplained` contains a description of each part that
    differs, by the ID of the test. `unused` are the entries of explanations that no difference needs. `failed` are the
    tests that fail with TestClient, so that their responses prove nothing.
    """

    tests: int
    requests: int
    explained: Counter[str] = field(default_factory=Counter)
    unexplained: dict[str, dict[str, str]] = field(default_factory=dict)
    unused: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    @property
    def equal(self) -> int:
        """The number of tests without a difference."""
        return self.tests - self.explained.total() - len(self.unexplained)


def compare(expected: Recording, actual: Recording, explanations: Explanations) -> Report:
    """Compare all tests of two runs."""
    report = Report(tests=len(expected.outcomes), requests=sum(map(len, expected.responses.values())))
    report.failed = [test for test, outcome in expected.outcomes.items() if outcome not in ("passed", "skipped")]
    used = set()
    for test in sorted(expected.outcomes.keys() | actual.outcomes.keys()):
        differences = dict(find_differences(test, expected, actual, explanations))
        for name, explanation in explanations.tests.items():
            entries = {test.partition("[")[0], test.partition("::")[0]}.intersection(explanation.tests)
            if entries and (differences or explanation.random) and differences.keys() <= set(explanation.parts):
                report.explained[name] += 1
                used |= {(name, item) for item in [*entries, *differences]}
                break
        else:
            if differences:
                report.unexplained[test] = differences
    for name, explanation in explanations.tests.items():
        items = explanation.tests if explanation.random else [*explanation.tests, *explanation.parts]
        report.unused += [f"{name}: {item}" for item in items if (name, item) not in used]
    return report


def find_differences(
    test: str, expected: Recording, actual: Recording, explanations: Explanations
) -> Iterator[tuple[str, str]]:
    """Iterate over the parts of a test that differ, each with a description."""
    expected_responses, actual_responses = expected.responses.get(test, []), actual.responses.get(test, [])
    for number, (wanted, received) in enumerate(zip(expected_responses, actual_responses, strict=False), start=1):
        where = f"request {number}, {wanted['request']}"
        has_error = "error" in wanted  # which may occur before or after the response
        for part in ("request", "error") if has_error else PARTS:
            if wanted.get(part) != received.get(part):
                yield part, f"{where}: {received.get(part)!r} instead of {wanted.get(part)!r}"
        if "headers" in wanted and "headers" in received and not has_error:
            headers = comparable_headers(wanted["headers"], received["headers"], explanations)
            if headers[0] != headers[1]:
                yield "headers", f"{where}: {headers[1]} instead of {headers[0]}"
    if len(expected_responses) != len(actual_responses):
        yield "request", f"{len(actual_responses)} requests instead of {len(expected_responses)}"
    outcomes = [recording.outcomes.get(test, "not run") for recording in (expected, actual)]
    if outcomes[0] != outcomes[1]:
        yield "outcome", f"{outcomes[1]} instead of {outcomes[0]}"


def comparable_headers(
    expected: Headers, actual: Headers, explanations: Explanations
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Return the headers that have to be equal, each as a list of its values."""
    expected_values, actual_values = values_by_name(expected), values_by_name(actual)
    for name in [*expected_values, *actual_values]:
        is_added = name in explanations.added_headers and name not in expected_values
        if is_added or name in explanations.varying_headers:
            expected_values.pop(name, None)
            actual_values.pop(name, None)
    return expected_values, actual_values


def values_by_name(headers: Headers) -> dict[str, list[str]]:
    """Return the values of each header. Join them, as HTTP allows, except those of Set-Cookie."""
    values: dict[str, list[str]] = {}
    for name, value in headers:
        values.setdefault(name.lower(), []).append(value)
    return {name: texts if name == "set-cookie" else [",".join(texts)] for name, texts in values.items()}
