"""Logistic regression on Fisher's iris measurements, 97 % right on them: a stand-in for a real, heavy model."""

import json
import math
from operator import mul
from pathlib import Path

WEIGHTS = json.loads(Path(__file__).with_name("model.json").read_text(encoding="utf-8"))


def classify(*measurements: float) -> tuple[str, float]:
    """The most likely species and its probability, from sepal length and width, petal length and width in cm."""
    odds = {
        species: math.exp(weights["intercept"] + sum(map(mul, weights["coefficients"], measurements)))
        for species, weights in WEIGHTS.items()
    }
    species = max(odds, key=lambda name: odds[name])
    return species, odds[species] / sum(odds.values())
