"""Compute medians of the rounds. Ratios compare subjects in the same round, so a slow round changes no ratio."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields

from benchmarks.runtime import Measured

Rounds = Sequence[Mapping[str, Measured]]  # by the subject's name


@dataclass(frozen=True)
class Spread:
    """The median, and the limits of the middle half of the rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        low, median, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else [*values] * 3
        return cls(median, low, high)


def absolute(rounds: Rounds, subject: str) -> dict[str, Spread]:
    """Return the spread of each measurement of the subject."""
    return {
        field.name: Spread.of([getattr(measured[subject], field.name) for measured in rounds])
        for field in fields(Measured)
    }


def relative(rounds: Rounds, subject: str, base: str) -> dict[str, Spread]:
    """Return the spread of each measurement relative to the base. `cold` is INIT and the first response together."""
    spreads = {}
    for name in [field.name for field in fields(Measured)]:
        spreads[name] = Spread.of([getattr(m[subject], name) / getattr(m[base], name) for m in rounds])
    spreads["cold"] = Spread.of([_cold_ms(m[subject]) / _cold_ms(m[base]) for m in rounds])
    return spreads


def _cold_ms(measured: Measured) -> float:
    return measured.init_ms + measured.first_ms


def as_data(spreads: Mapping[str, Spread]) -> dict[str, dict[str, float]]:
    return {name: {key: round(value, 4) for key, value in asdict(spread).items()} for name, spread in spreads.items()}
