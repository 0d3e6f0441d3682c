"""`make bench`: compare how long services take to start and to respond.

One round starts each subject once on each of its versions of Python, in random order. Ratios compare subjects on the
same Python within a round. See README.md.
"""

import argparse
import os
import random
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import deploys, imports, report
from benchmarks.common import CACHE, CommandError, layers, say
from benchmarks.pythons import VERSIONS, find_pythons
from benchmarks.ratios import Key
from benchmarks.runtime import LAMBDA, Environments, Measurement, SubjectError
from benchmarks.subjects import ON_ALL_PYTHONS, SEED, Subject, create_subjects, subjects_by_name
from embedded_aws import EmbeddedAws


def main(arguments: Sequence[str]) -> int:
    """Run the benchmark, write and print the results, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--requests", type=int, default=200, help="number of warm requests to each environment")
    parser.add_argument("--only", metavar="NAME,NAME", help="measure only these subjects and the base, and no deploys")
    parser.add_argument("--base", default=SEED, metavar="NAME", help="the subject that all ratios refer to")
    parser.add_argument(
        "--pythons",
        default=",".join(VERSIONS),
        metavar="X.Y,X.Y",
        help="the versions of Python; the first one runs all subjects (default: %(default)s)",
    )
    parser.add_argument("--results", type=Path, default=CACHE / "benchmark-results", metavar="FOLDER")
    parser.add_argument("--publish", action="store_true", help="write the results to benchmarks/results and the README")
    args = parser.parse_args(arguments)
    if args.rounds < 1:
        parser.error("--rounds must be 1 or more. Use at least 5 for meaningful medians.")
    if args.requests < 2:
        parser.error("--requests must be 2 or more.")
    if args.publish and (args.only or args.base != SEED or args.pythons != ",".join(VERSIONS)):
        parser.error("--publish measures everything: omit --only, --base and --pythons.")
    versions = args.pythons.split(",")
    if len(versions) > 2:
        parser.error("--pythons accepts at most two versions, which the chart compares.")
    if len(versions) > 1 and args.base not in ON_ALL_PYTHONS:
        parser.error(f"{args.base} runs only on one version: choose another --base, or one version with --pythons.")
    os.sched_setaffinity(0, LAMBDA)
    try:
        pythons, missing = find_pythons(versions)
        for line in missing:
            say(line)
        if not pythons or (args.publish and missing):
            print("bench: a required version of Python is missing, see above.", file=sys.stderr)
            return 1
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            with EmbeddedAws() as aws:
                constructors = subjects_by_name(Path(folder), aws)
                only = list(dict.fromkeys([args.base, *args.only.split(",")])) if args.only else list(constructors)
                if unknown := [name for name in only if name not in constructors]:
                    parser.error(f"Unknown subject {unknown[0]!r}. Available subjects: {', '.join(constructors)}")
                subjects = create_subjects(constructors, only, pythons)
                layers().delete_unused()
                environments = {python.version: Environments(python) for python in pythons}
                try:
                    rounds, opened = measure(subjects, environments, args.rounds, args.requests)
                    costs = imports.measure(subjects, environments)
                finally:
                    for environment in environments.values():
                        environment.close()
            deploy_results = None if args.only else deploys.measure(Path(folder))
    except (CommandError, SubjectError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    result = report.build_result(subjects, rounds, args.base, opened, imports.group(costs), deploy_results)
    results = report.PUBLISHED if args.publish else args.results
    report.write(result, results)
    if args.publish:
        report.publish(result)
    print(report.text(result))
    say(f"Wrote results.json, results.md and cold-start.svg to {results}")
    return 0


def measure(
    subjects: Sequence[Subject], environments: Mapping[str, Environments], number: int, requests: int
) -> tuple[list[dict[Key, Measurement]], dict[Key, int]]:
    """Return the measurements of each round, and the number of files that INIT opens, both by subject."""
    opened = {}
    for subject in subjects:  # this also fills the page cache
        opened[subject.key] = len(environments[subject.python.version].opened_files(subject))
    rounds = []
    for count in range(number):
        say(f"round {count + 1} of {number}")
        shuffled = random.sample(subjects, len(subjects))
        rounds.append(
            {subject.key: environments[subject.python.version].measure(subject, requests) for subject in shuffled}
        )
    return rounds, opened


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
