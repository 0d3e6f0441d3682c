"""`make bench`: compare how long services take to start and to respond.

One round starts each subject once, in random order. Ratios compare subjects within a round. See README.md.
"""

import argparse
import os
import random
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import deploys, report
from benchmarks.runtime import LAMBDA, Environments, Measurement, SubjectError
from benchmarks.subjects import CACHE, SEED, Subject, say, subjects_by_name
from embedded_aws import EmbeddedAws


def main(arguments: Sequence[str]) -> int:
    """Run the benchmark, write and print the results, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--requests", type=int, default=200, help="number of warm requests to each environment")
    parser.add_argument("--only", metavar="NAME,NAME", help="measure only these subjects and the base, and no deploys")
    parser.add_argument("--base", default=SEED, metavar="NAME", help="the subject that all ratios refer to")
    parser.add_argument("--results", type=Path, default=CACHE / "benchmark-results", metavar="FOLDER")
    parser.add_argument("--publish", action="store_true", help="write the results to benchmarks/results and the README")
    args = parser.parse_args(arguments)
    if args.rounds < 1:
        parser.error("--rounds must be 1 or more. Use at least 5 for meaningful medians.")
    os.sched_setaffinity(0, LAMBDA)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        with EmbeddedAws() as aws:
            constructors = subjects_by_name(Path(folder), aws)
            only = [args.base, *args.only.split(",")] if args.only else list(constructors)
            if unknown := [name for name in only if name not in constructors]:
                parser.error(f"Unknown subject {unknown[0]!r}. Available subjects: {', '.join(constructors)}")
            subjects = [constructors[name]() for name in only]
            try:
                rounds, opened = measure(subjects, args.rounds, args.requests)
            except SubjectError as error:
                print(f"bench: {error}", file=sys.stderr)
                return 1
        deploy_results = None if args.only else deploys.measure(Path(folder))
    result = report.build_result(subjects, rounds, args.base, opened, deploy_results)
    results = report.PUBLISHED if args.publish else args.results
    report.write(result, results)
    if args.publish:
        report.publish(result)
    print(report.text(result))
    say(f"Wrote results.json, results.md and cold-start.svg to {results}")
    return 0


def measure(
    subjects: Sequence[Subject], number: int, requests: int
) -> tuple[list[dict[str, Measurement]], dict[str, int]]:
    """Return the measurements of each round, and the number of files that INIT opens, both by the subject's name."""
    environments = Environments()
    try:
        opened = {
            subject.name: len(environments.opened_files(subject)) for subject in subjects
        }  # this also fills the page cache
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
