"""Compute medians of the rounds. A ratio compares subjects in the same round, so a slow round does not change it."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields

from benchmarks.runtime import Measurement

Key = tuple[str, str]  # the name of a subject, and the version of Python
Rounds = Sequence[Mapping[Key, Measurement]]
NAMES = (*(field.name for field in fields(Measurement)), "cold_ms")


@dataclass(frozen=True)
class Spread:
    """The median of the rounds and their interquartile range."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Return the spread of one or more values."""
        low, median, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else [*values] * 3
        return cls(median, low, high)


def absolute(rounds: Rounds, subject: Key) -> dict[str, Spread]:
    """Return the spread of each measurement of the subject."""
    return {name: Spread.of([getattr(measurements[subject], name) for measurements in rounds]) for name in NAMES}


def relative(rounds: Rounds, subject: Key, base: Key) -> dict[str, Spread]:
    """Return the spread of each measurement relative to the base."""
    return {name: Spread.of([getattr(m[subject], name) / getattr(m[base], name) for m in rounds]) for name in NAMES}


def as_data(spreads: Mapping[str, Spread]) -> dict[str, dict[str, float]]:
    """Return the spreads as JSON data, rounded to four digits."""
    return {name: {key: round(value, 4) for key, value in asdict(spread).items()} for name, spread in spreads.items()}
