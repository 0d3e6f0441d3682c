"""Measure how much of INIT and the first request each package takes, with Python's option `-X importtime`.

The time of a module is that of its own code: it does not include the modules that it imports. Lazy imports may happen
during the first request, so both are measured together.
"""

import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.common import say
from benchmarks.runtime import Environments
from benchmarks.subjects import Subject

SUBJECTS = {"seed": "the seed", "ours": "ours, default", "ours largest": "ours, most options"}
REPETITIONS = 5
LINE = re.compile(r"^import time: +(\d+) \| +\d+ \| +(\S+)", re.MULTILINE)
OTHER = "everything else: the start of Python, creating the application, the request"
STANDARD_LIBRARY = "the standard library"
OTHER_PACKAGES = "other packages"
SHOWN = 0.04  # Modules and packages that take at least this share of the time are shown separately.

Costs = Mapping[str, float]  # in milliseconds, by the name of a module
Row = dict[str, Any]  # title, and ms by the name of the subject and the version of Python


def measure(subjects: Sequence[Subject], environments: Mapping[str, Environments]) -> dict[tuple[str, str], Costs]:
    """Return the time of each module and of OTHER in milliseconds, the shortest of some runs, by subject."""
    costs: dict[tuple[str, str], Costs] = {}
    for subject in subjects:
        if subject.name in SUBJECTS:
            say(f"imports of {subject.name} on Python {subject.python.version}")
            runs = [parse(*environments[subject.python.version].time_imports(subject)) for _ in range(REPETITIONS)]
            modules = dict.fromkeys(name for run in runs for name in run)
            costs[subject.key] = {name: min(run.get(name, 0.0) for run in runs) for name in modules}
    return costs


def parse(total_ms: float, output: str) -> Costs:
    """Return the time of each module in the output of `-X importtime`, and the rest of the total as OTHER."""
    costs: dict[str, float] = {}
    for us, module in LINE.findall(output):
        costs[module] = costs.get(module, 0.0) + int(us) / 1000
    return costs | {OTHER: total_ms - sum(costs.values())}


def group(costs: Mapping[tuple[str, str], Costs]) -> list[Row]:
    """Return a row for each package, and for each module that takes long in any subject. The titles are Markdown."""
    if not costs:
        return []
    limits = {key: SHOWN * sum(modules.values()) for key, modules in costs.items()}
    slow = {module for key, modules in costs.items() for module, ms in modules.items() if ms >= limits[key]}
    packages: dict[str, dict[tuple[str, str], float]] = {}
    for key, modules in costs.items():
        for module, ms in modules.items():
            top = module.partition(".")[0]
            if module == OTHER:
                title = OTHER
            elif module in slow:
                title = f"`{module}`"
            elif top in sys.stdlib_module_names or top.startswith("_"):
                title = STANDARD_LIBRARY
            else:
                title = f"`{top}.*`"
            row = packages.setdefault(title, dict.fromkeys(costs, 0.0))
            row[key] += ms
    rest = packages.pop(OTHER)
    small = [title for title, row in packages.items() if all(row[key] < limits[key] for key in costs)]
    small_rows = [packages.pop(title) for title in small]
    ordered = sorted(packages.items(), key=lambda item: -max(item[1].values()))
    ordered.append((OTHER_PACKAGES, {key: sum(row[key] for row in small_rows) for key in costs}))
    ordered.append((OTHER, rest))
    return [
        {"title": title, "ms": {name: {v: round(row[n, v], 1) for n, v in row if n == name} for name, _ in row}}
        for title, row in ordered
    ]
