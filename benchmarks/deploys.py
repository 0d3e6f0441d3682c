"""Measure ./deploy.sh on an emulated AWS where each call takes 50 ms and each change is complete immediately.

The images already exist and start immediately, so the result is the time of the deploy tool and of its calls.
"""

import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.common import say
from embedded_aws import Call, Delays, EmbeddedAws
from scripts.project_changes import write_handler
from scripts.projects import Project, generate_project, project_environment, share_venv

LATENCY_S = 0.05
NO_DELAYS = Delays(pending_s=0, update_s=0, publish_s=0, provision_s=0, role_s=0)
REPETITIONS = 5  # of each kind of deploy except the first one; the result is the median
HANDLER = """
def handler(event, context):
    return {{"statusCode": 200, "headers": {{"content-type": "application/json"}}, "body": '{{"release": {}}}'}}
"""


@dataclass(frozen=True)
class Deploy:
    """The duration of one deploy. `costs` contains the seconds of each part; their sum is `wall_s`."""

    title: str
    reads: int
    mutations: int
    wall_s: float
    costs: dict[str, float]

    @property
    def tool_s(self) -> float:
        """Return the time without waiting for changes to complete, and without the new version's first request."""
        return self.wall_s - self.costs[FINISHED] - self.costs[INVOKE]


START, READ, MUTATE = "Python and its imports", "waiting for reads", "waiting for changes"
FINISHED, INVOKE = "waiting until changes are complete", "the new version's first request"
BETWEEN = "creating clients, comparing, printing, the request to the URL"
POLLS = {"GetFunction", "GetFunctionConfiguration"}  # after a change, they count as FINISHED


class Stopwatch:
    """A hook that delays each call of the deploy tool until LATENCY_S has passed, and records its start and end."""

    def __init__(self) -> None:
        self.intervals: list[tuple[float, float, str]] = []
        self._started: dict[int, float] = {}

    def __call__(self, call: Call, number: int, when: Literal["before", "after"]) -> None:
        """Record the start before the call. After it, wait and record the interval with the kind of the call."""
        if when == "before":
            self._started[threading.get_ident()] = time.monotonic()
            return
        started = self._started.pop(threading.get_ident())
        time.sleep(max(0.0, started + LATENCY_S - time.monotonic()))
        kind = INVOKE if call.operation == "Invoke" else MUTATE if call.mutating else READ
        if call.operation in POLLS and any(earlier == MUTATE for _, _, earlier in self.intervals):
            kind = FINISHED
        self.intervals.append((started, time.monotonic(), kind))


def measure(folder: Path) -> list[Deploy]:
    """Generate a project in the folder, and measure a first deploy, one without changes and one with a code change."""
    project = generate_project(folder / "deployed")
    share_venv(project.path)
    with EmbeddedAws(delays=NO_DELAYS) as aws:
        images = [push_image(aws, folder, number) for number in range(REPETITIONS + 2)]
        stopwatch = Stopwatch()
        aws.hook(stopwatch)

        def run(title: str, image: str) -> Deploy:
            return measure_deploy(title, project, aws, stopwatch, image)

        run("plan", images[0])  # not measured: Python compiles the deploy tool
        first = run("first deploy", images[0])
        unchanged = [run("no change", images[0]) for _ in range(REPETITIONS)]
        code = [run("code only", image) for image in images[1:-1]]
        return [first, median(unchanged), median(code)]


def measure_deploy(title: str, project: Project, aws: EmbeddedAws, stopwatch: Stopwatch, image: str) -> Deploy:
    """Run ./deploy.sh once and return its duration. Raise SystemExit if it fails."""
    say(f"./deploy.sh: {title}")
    stopwatch.intervals.clear()
    environ = {
        name: value for name, value in project_environment(project.path).items() if name != "PYTHONDONTWRITEBYTECODE"
    }
    command = ["./deploy.sh", "plan"] if title == "plan" else ["./deploy.sh", "--image", image]
    before, started = len(aws.calls), time.monotonic()
    process = subprocess.run(
        command, cwd=project.path, env=environ | aws.environ, capture_output=True, text=True, check=False
    )
    ended = time.monotonic()
    if process.returncode:
        raise SystemExit(f"./deploy.sh: {process.stdout}{process.stderr}")
    calls = aws.calls[before:]
    mutations = [call.operation for call in calls if call.mutating and call.operation != "Invoke"]
    costs = split(started, ended, stopwatch.intervals)
    return Deploy(title, sum(not call.mutating for call in calls), len(mutations), ended - started, costs)


def split(started: float, ended: float, intervals: Sequence[tuple[float, float, str]]) -> dict[str, float]:
    """Return the seconds of each part of a run. While calls overlap, count the time only for the first one."""
    costs = {
        START: min(call_started for call_started, _, _ in intervals) - started,
        READ: 0.0,
        MUTATE: 0.0,
        FINISHED: 0.0,
        INVOKE: 0.0,
        BETWEEN: 0.0,
    }
    counted_until = started + costs[START]
    for call_started, call_ended, kind in sorted(intervals):
        costs[BETWEEN] += max(0.0, call_started - counted_until)
        costs[kind] += max(0.0, call_ended - max(call_started, counted_until))
        counted_until = max(counted_until, call_ended)
    costs[BETWEEN] += ended - counted_until
    return costs


def median(deploys: Sequence[Deploy]) -> Deploy:
    """Return the deploy with the median time."""
    return sorted(deploys, key=lambda deploy: deploy.tool_s)[len(deploys) // 2]


def push_image(aws: EmbeddedAws, folder: Path, number: int) -> str:
    """Push an image whose response contains the number, and return its URI."""
    root = write_handler(folder / f"image-{number}", HANDLER.format(number))
    return aws.push_image("built-elsewhere", root, tag=str(number))
