"""Rounds of measurements to medians: each subject is compared with the seed's of the same round, so that what slows
down a whole round slows down neither side of a ratio.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields

from benchmarks.runtime import Measured

Rounds = Sequence[Mapping[str, Measured]]  # by the subject's name


@dataclass(frozen=True)
class Spread:
    """Half of the rounds lie between `low` and `high`."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        low, median, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else [*values] * 3
        return cls(median, low, high)


def absolute(rounds: Rounds, subject: str) -> dict[str, Spread]:
    """Of each thing measured."""
    return {
        field.name: Spread.of([getattr(measured[subject], field.name) for measured in rounds])
        for field in fields(Measured)
    }


def relative(rounds: Rounds, subject: str, base: str) -> dict[str, Spread]:
    """The same as ratios to the base; `cold` is INIT and the first response."""
    spreads = {}
    for name in [field.name for field in fields(Measured)]:
        spreads[name] = Spread.of([getattr(m[subject], name) / getattr(m[base], name) for m in rounds])
    spreads["cold"] = Spread.of([_cold_ms(m[subject]) / _cold_ms(m[base]) for m in rounds])
    return spreads


def _cold_ms(measured: Measured) -> float:
    return measured.init_ms + measured.first_ms


def as_data(spreads: Mapping[str, Spread]) -> dict[str, dict[str, float]]:
    return {name: {key: round(value, 4) for key, value in asdict(spread).items()} for name, spread in spreads.items()}
