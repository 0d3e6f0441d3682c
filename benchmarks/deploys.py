"""Measure ./deploy.sh on an AWS where each call takes 50 ms and every change is finished immediately.

The images exist already and start immediately, so the result is the time of the tool and of its calls.
"""

import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.subjects import say
from embedded_aws import Call, Delays, EmbeddedAws
from scripts.project_changes import write_handler
from scripts.projects import Project, generate_project, project_environment, share_venv

LATENCY_S = 0.05
NO_DELAYS = Delays(pending_s=0, update_s=0, publish_s=0, provision_s=0, role_s=0)
REPETITIONS = 5  # of the runs that can be repeated; the result is the median
HANDLER = """
def handler(event, context):
    return {{"statusCode": 200, "headers": {{"content-type": "application/json"}}, "body": '{{"release": {}}}'}}
"""


@dataclass(frozen=True)
class Deploy:
    """One run. `costs` contains the seconds of each of its parts; their sum is `wall_s`."""

    title: str
    reads: int
    mutations: int
    wall_s: float
    costs: dict[str, float]

    @property
    def own_s(self) -> float:
        """The time without waiting for AWS to finish a change, and without the first request of the new version."""
        return self.wall_s - self.costs[FINISHED] - self.costs[INVOKE]


START, READ, MUTATE = "Python and its imports", "waiting for reads", "waiting for changes"
FINISHED, POLLS = "asking whether AWS has finished", {"GetFunction", "GetFunctionConfiguration"}  # after a change
INVOKE, BETWEEN = "the new version's first request", "making clients, comparing, printing, the URL"


class Stopwatch:
    """Delay each call of the deploy tool as AWS does, and record when it began and ended."""

    def __init__(self) -> None:
        self.intervals: list[tuple[float, float, str]] = []
        self._begun: dict[int, float] = {}

    def __call__(self, call: Call, number: int, when: Literal["before", "after"]) -> None:
        if when == "before":
            self._begun[threading.get_ident()] = time.monotonic()
            return
        begun = self._begun.pop(threading.get_ident())
        time.sleep(max(0.0, begun + LATENCY_S - time.monotonic()))
        kind = INVOKE if call.operation == "Invoke" else MUTATE if call.mutating else READ
        if call.operation in POLLS and any(earlier == MUTATE for _, _, earlier in self.intervals):
            kind = FINISHED
        self.intervals.append((begun, time.monotonic(), kind))


def measure(folder: Path) -> list[Deploy]:
    project = generate_project(folder / "deployed")
    share_venv(project.path)
    with EmbeddedAws(delays=NO_DELAYS) as aws:
        images = [push(aws, folder, number) for number in range(REPETITIONS + 2)]
        stopwatch = Stopwatch()
        aws.hook(stopwatch)

        def run(title: str, image: str) -> Deploy:
            return timed(title, project, aws, stopwatch, image)

        run("plan", images[0])  # with which Python compiles the tool
        first = run("first deploy", images[0])
        nothing = [run("no change", images[0]) for _ in range(REPETITIONS)]
        code = [run("code only", image) for image in images[1:-1]]
        return [first, middle(nothing), middle(code)]


def timed(title: str, project: Project, aws: EmbeddedAws, stopwatch: Stopwatch, image: str) -> Deploy:
    say(f"./deploy.sh: {title}")
    stopwatch.intervals.clear()
    environ = {
        name: value for name, value in project_environment(project.path).items() if name != "PYTHONDONTWRITEBYTECODE"
    }
    command = ["./deploy.sh", "plan"] if title == "plan" else ["./deploy.sh", "--image", image]
    before, started = len(aws.calls), time.monotonic()
    done = subprocess.run(
        command, cwd=project.path, env=environ | aws.environ, capture_output=True, text=True, check=False
    )
    ended = time.monotonic()
    if done.returncode:
        raise SystemExit(f"./deploy.sh: {done.stdout}{done.stderr}")
    calls = aws.calls[before:]
    mutations = [call.operation for call in calls if call.mutating and call.operation != "Invoke"]
    costs = split(started, ended, stopwatch.intervals)
    return Deploy(title, sum(not call.mutating for call in calls), len(mutations), ended - started, costs)


def split(started: float, ended: float, intervals: Sequence[tuple[float, float, str]]) -> dict[str, float]:
    """Return the seconds of each part of a run. If calls overlap, the time counts for the call that began first."""
    costs = {
        START: min(begun for begun, _, _ in intervals) - started,
        READ: 0.0,
        MUTATE: 0.0,
        FINISHED: 0.0,
        INVOKE: 0.0,
        BETWEEN: 0.0,
    }
    reached = started + costs[START]
    for begun, end, kind in sorted(intervals):
        costs[BETWEEN] += max(0.0, begun - reached)
        costs[kind] += max(0.0, end - max(begun, reached))
        reached = max(reached, end)
    costs[BETWEEN] += ended - reached
    return costs


def middle(deploys: Sequence[Deploy]) -> Deploy:
    """Return the run with the median time."""
    return sorted(deploys, key=lambda deploy: deploy.own_s)[len(deploys) // 2]


def push(aws: EmbeddedAws, folder: Path, number: int) -> str:
    root = write_handler(folder / f"image-{number}", HANDLER.format(number))
    return aws.push_image("built-elsewhere", root, tag=str(number))
