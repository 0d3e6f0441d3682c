"""Compute medians of the rounds. A ratio compares subjects in the same round, so a slow round does not change it."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields

from benchmarks.runtime import Measurement

Rounds = Sequence[Mapping[str, Measurement]]  # by the name of the subject


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


def absolute(rounds: Rounds, subject: str) -> dict[str, Spread]:
    """Return the spread of each measurement of the subject."""
    return {
        field.name: Spread.of([getattr(measurements[subject], field.name) for measurements in rounds])
        for field in fields(Measurement)
    }


def relative(rounds: Rounds, subject: str, base: str) -> dict[str, Spread]:
    """Return the spread of each measurement relative to the base. `cold` is INIT and the first response together."""
    spreads = {}
    for name in [field.name for field in fields(Measurement)]:
        spreads[name] = Spread.of([getattr(m[subject], name) / getattr(m[base], name) for m in rounds])
    spreads["cold"] = Spread.of([_cold_ms(m[subject]) / _cold_ms(m[base]) for m in rounds])
    return spreads


def _cold_ms(measurement: Measurement) -> float:
    return measurement.init_ms + measurement.first_ms


def as_data(spreads: Mapping[str, Spread]) -> dict[str, dict[str, float]]:
    """Return the spreads as JSON data, rounded to four digits."""
    return {name: {key: round(value, 4) for key, value in asdict(spread).items()} for name, spread in spreads.items()}
