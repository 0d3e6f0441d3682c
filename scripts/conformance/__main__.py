"""`make test-conformance`: run FastAPI's own tests through the handler of a generated project.

Each response has to equal the one of Starlette's TestClient, unless `differences.toml` explains the difference.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from scripts.command_line import ScriptError, parse_answers, say
from scripts.conformance.compare import Explanations, compare
from scripts.conformance.report import figures, problems, publish
from scripts.conformance.suite import fastapi_version, install_suite, record_both
from scripts.projects import InvalidAnswers, generate_project


def main(arguments: Sequence[str]) -> int:
    """Run all tests, print the figures, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m scripts.conformance", description=__doc__)
    parser.add_argument("answers", nargs="*", metavar="name=answer", help="answers to the template's prompts")
    parser.add_argument("--publish", action="store_true", help="write the figures to the README")
    args = parser.parse_intermixed_args(arguments)
    if args.publish and args.answers:
        parser.error("--publish is for the default answers, which the README describes.")
    try:
        answers = parse_answers(args.answers)
        say(f"Installing the tests of FastAPI {fastapi_version()}, unless they are in .cache...")
        suite = install_suite()
        say("Running them with TestClient and, at the same time, through the handler; takes about 5 minutes...")
        with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
            project = generate_project(Path(folder, "projects"), answers)
            expected, actual = record_both(suite, project, ["tests"], suite)
    except (ScriptError, InvalidAnswers) as error:
        print(f"conformance: {error}", file=sys.stderr)
        return 1
    explanations = Explanations.load()
    report = compare(expected, actual, explanations)
    text = figures(report, explanations)
    say(text)
    lines = problems(report)
    for problem in lines:
        print(problem, file=sys.stderr)
    if args.publish and not lines:
        publish(text)
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
