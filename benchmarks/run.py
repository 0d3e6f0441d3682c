"""`make bench`: how long do services take to start, and to answer? Ours against what one would use instead.

One round starts each subject once, in random order; ratios are made within a round. README.md beside this says more.
"""

import argparse
import os
import random
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import deploys, report
from benchmarks.runtime import LAMBDA, Environments, Measured, Unfit
from benchmarks.subjects import CACHE, SEED, Subject, say, subjects_by_name
from tests.embedded_aws import EmbeddedAws


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--requests", type=int, default=200, help="after the first, to each environment")
    parser.add_argument("--only", metavar="NAME,NAME", help="these subjects and the base; no deploys")
    parser.add_argument("--base", default=SEED, metavar="NAME", help="what the ratios are relative to")
    parser.add_argument("--results", type=Path, default=CACHE / "benchmark-results", metavar="FOLDER")
    parser.add_argument("--publish", action="store_true", help="the results into benchmarks/results and the README")
    given = parser.parse_args(arguments)
    if given.rounds < 1:
        parser.error("--rounds must be 1 or more; below 5 the medians say little")
    os.sched_setaffinity(0, LAMBDA)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        with EmbeddedAws() as aws:
            makers = subjects_by_name(Path(folder), aws)
            only = [given.base, *given.only.split(",")] if given.only else list(makers)
            if unknown := [name for name in only if name not in makers]:
                parser.error(f"no {unknown[0]!r}: there are {', '.join(makers)}")
            subjects = [makers[name]() for name in only]
            try:
                rounds, opened = measure(subjects, given.rounds, given.requests)
            except Unfit as error:
                print(f"bench: {error}", file=sys.stderr)
                return 1
        deployed = None if given.only else deploys.measure(Path(folder))
    result = report.result(subjects, rounds, given.base, opened, deployed)
    into = report.PUBLISHED if given.publish else given.results
    report.write(result, into)
    if given.publish:
        report.publish(result)
    print(report.text(result))
    say(f"{into}: results.json, results.md and cold-start.svg")
    return 0


def measure(
    subjects: Sequence[Subject], number: int, requests: int
) -> tuple[list[dict[str, Measured]], dict[str, int]]:
    """Rounds of what was measured by the subject's name, and how many files INIT of each opens."""
    environments = Environments()
    try:
        opened = {subject.name: len(environments.opened_files(subject)) for subject in subjects}  # and all are cached
        rounds = []
        for count in range(number):
            say(f"round {count + 1} of {number}")
            shuffled = random.sample(subjects, len(subjects))
            rounds.append({subject.name: environments.measure(subject, requests) for subject in shuffled})
        return rounds, opened
    finally:
        environments.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
