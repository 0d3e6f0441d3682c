"""Every call of the deploy tool can fail in every way: the live version keeps responding, and the next run repairs it.

A test disturbs one call of a scenario (a first deploy, an update, a rollback, a destroy) in one variant of the service
with one kind of failure. The variable FAULTS selects how many are tested: "sample" (the default), "ci" (all of the
default and the largest variant, and the sample of the others) or "all", as `make test-faults` does.
"""

import contextlib
import itertools
import os
import random
import sys
import urllib.error
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from embedded_aws.calls import Call
from embedded_aws.faults import Kind
from scripts.deploy_tool import Run
from scripts.projects import CHOICES, Answers, combination_name
from tests.support.bake import Bake
from tests.support.deploy_tool import remaining_resources
from tests.support.deployed_stage import NAME, DeployedStage, deployed_stage

SEED = 20_261_123
SAMPLE = 36  # of the combinations of variant, scenario and fault, each at one of its calls
ALL_ATTEMPTS = 5  # botocore's, by the deploy tool's setting
OPTIONS = ("endpoint", "migrations", "cold_starts")
VARIANTS = [dict(zip(OPTIONS, row, strict=True)) for row in itertools.product(*(CHOICES[one] for one in OPTIONS))]
WHOLE_IN_CI = (VARIANTS[0], VARIANTS[-1])


UNDISTURBED: dict[tuple[str, "Scenario"], tuple[list[str], str]] = {}  # the calls of a scenario, and its final state


class Killed(BaseException):
    """The process was killed: nothing of it runs any more."""


@dataclass(frozen=True)
class Scenario:
    """`before` are the releases before it, `act` is disturbed, and one of `live` responds meanwhile and afterwards."""

    before: tuple[str, ...]
    act: Callable[[DeployedStage], Run]
    live: tuple[str, ...]
    then: str | None  # the release that the next run deploys; None if the stage is destroyed instead


SCENARIOS = {
    "first deploy": Scenario((), lambda on: on.release("new"), (), "new"),
    "update": Scenario(("old",), lambda on: on.release("new"), ("old", "new"), "new"),
    "rollback": Scenario(("old", "new"), lambda on: on.deploy("rollback"), ("old", "new"), "new"),
    "destroy": Scenario(("old",), lambda on: on.deploy("destroy", typed=f"{NAME}\n"), (), None),
}
KINDS: list[Kind] = ["throttle", "server_error", "reset_before", "reset_after"]
FAULTS = [
    # AWS fails once, which must not have any effect, or until botocore gives up.
    *(f"{kind} {how}" for kind in KINDS for how in ("once", "to the end")),
    "access denied",
    "Ctrl-C before",
    "Ctrl-C after",
    "killed before",
    "killed after",
]
JOBS = [(variant, scenario, fault) for variant in VARIANTS for scenario in SCENARIOS for fault in FAULTS]
SAMPLED = random.Random(SEED).sample(range(len(JOBS)), SAMPLE)  # noqa: S311


def is_tested_completely(variant: Answers) -> bool:
    selected = os.environ.get("FAULTS", "sample")
    return selected == "all" or (selected == "ci" and variant in WHOLE_IN_CI)


CHOSEN = [job for number, job in enumerate(JOBS) if is_tested_completely(job[0]) or number in SAMPLED]


@pytest.mark.parametrize(
    ("variant", "scenario", "fault"),
    CHOSEN,
    ids=[f"{combination_name(variant)}: {scenario}: {fault}" for variant, scenario, fault in CHOSEN],
)
def test_the_next_run_repairs_a_failure_at_any_call(
    bake: Bake,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
    variant: Answers,
    scenario: str,
    fault: str,
) -> None:
    sweep = FaultSweep(bake, tmp_path, variant, SCENARIOS[scenario])
    numbers: Sequence[int] = range(1, sweep.count_calls() + 1)
    if not is_tested_completely(variant):
        numbers = random.Random(f"{SEED} {scenario} {fault}").sample(numbers, 1)  # noqa: S311
    for number in numbers:
        try:
            sweep.disturbed(number, fault)
        except (AssertionError, urllib.error.URLError) as error:
            sweep.figures["failures"] += 1
            raise AssertionError(f"call {number}, {sweep.calls[number - 1]}: {error!r}") from error
        finally:
            record_property("faults", sweep.figures)
            sweep.figures = dict.fromkeys(sweep.figures, 0)


class SequentialPool:
    """Replaces a pool of threads, so that the calls of a run have the same order every time."""

    def __init__(self, max_workers: int) -> None: ...

    def __enter__(self) -> "SequentialPool":
        return self

    def __exit__(self, *_: object) -> None: ...

    def map(self, function: Callable[[Any], Any], *each: Any) -> Iterator[Any]:
        return map(function, *each)

    def submit(self, function: Callable[[], Any]) -> "Future[Any]":
        done: Future[Any] = Future()
        done.set_result(function())
        return done


class FaultSweep:
    """A scenario in one variant, disturbed at one call after the other."""

    def __init__(self, bake: Bake, folder: Path, variant: Answers, scenario: Scenario) -> None:
        self.bake = bake
        self.folder = folder
        self.variant = variant
        self.scenario = scenario
        self.calls: list[str] = []  # of the scenario without a failure
        self.figures = dict.fromkeys(("tried", "requests meanwhile", "failures", "left behind"), 0)
        self.state = ""  # at the end of the scenario without a failure

    @contextlib.contextmanager
    def stage(self) -> Iterator[DeployedStage]:
        with (
            deployed_stage(self.bake, self.folder, **self.variant) as stage,
            patch.object(sys.modules["deploy.stage"], "ThreadPoolExecutor", SequentialPool),
            patch.object(sys.modules["deploy.plan"], "ThreadPoolExecutor", SequentialPool),
        ):
            yield stage

    def count_calls(self) -> int:
        """Return the number of calls of the scenario without a failure."""
        job = combination_name(self.variant), self.scenario
        if job not in UNDISTURBED:
            UNDISTURBED[job] = self._run_undisturbed()
        self.calls, self.state = UNDISTURBED[job]
        return len(self.calls)

    def _run_undisturbed(self) -> tuple[list[str], str]:
        with self.stage() as stage:
            self.prepare(stage)
            before = len(stage.aws.calls)
            assert self.scenario.act(stage).code == 0
            calls = [call.action for call in stage.aws.calls[before:] if call.caller == "deployer"]
            if not self.scenario.then:
                return calls, ""
            assert stage.release(self.scenario.then).code == 0
            return calls, stage.state()

    def prepare(self, stage: DeployedStage) -> None:
        for body in self.scenario.before:
            run = stage.release(body)
            assert run.code == 0, run.err

    def disturbed(self, number: int, fault: str) -> None:
        self.figures["tried"] += 1
        with self.stage() as stage:
            self.prepare(stage)
            undo = stage.aws.hook(self.watch(stage, stage.url()))
            run = act(stage, self.scenario, number, fault)
            undo()
            stage.aws.clear_faults()
            if run:
                self.assert_explained(run, fault)
                if fault.endswith(" once") and not self.can_have_an_effect(number, fault):
                    assert run.code == 0, run.err
            if self.scenario.live:
                self.request(stage, stage.url())
            if self.scenario.then:
                again = stage.release(self.scenario.then)
                assert again.code == 0, again.err
                assert stage.get() == self.scenario.then
                assert stage.state() == self.state
            destroyed = stage.deploy("destroy", typed=f"{NAME}\n")
            assert destroyed.code == 0, destroyed.err
            assert destroyed.out.endswith("0 left\n")
            remaining = remaining_resources(stage.aws)
            self.figures["left behind"] += len(remaining)
            assert remaining == []

    def can_have_an_effect(self, number: int, fault: str) -> bool:
        """Return True for an Invoke, which is never repeated, and for a change that is repeated unnecessarily."""
        return "Invoke" in self.calls[number - 1] or fault == "reset_after once"

    def assert_explained(self, run: Run, fault: str) -> None:
        """Raise AssertionError unless the exit code fits and an error has two lines and no traceback."""
        assert run.code in ((130,) if fault.startswith("Ctrl-C") else (0, 1)), run
        assert len(run.err.splitlines()) == (2 if run.code == 1 else run.code == 130), run.err

    def watch(self, stage: DeployedStage, url: str) -> Callable[[Call, int, str], None]:
        """Return a hook that requests the URL after each change."""

        def request_after_change(call: Call, number: int, when: str) -> None:
            if self.scenario.live and when == "after" and call.mutating and call.operation != "Invoke":
                self.request(stage, url)

        return request_after_change

    def request(self, stage: DeployedStage, url: str) -> None:
        self.figures["requests meanwhile"] += 1
        assert stage.get(url) in self.scenario.live


def act(stage: DeployedStage, scenario: Scenario, number: int, fault: str) -> Run | None:
    """Run the scenario with this fault at its `number`-th call. Return None if the process was killed."""
    how = fault.rpartition(" ")[2]
    if fault == "access denied":
        stage.aws.fail("*", "deny", call=number)
    elif fault.startswith(("Ctrl-C", "killed")):
        error = Killed if fault.startswith("killed") else KeyboardInterrupt
        calls, current = itertools.count(1), 0

        def stop(call: Call, _: int, when: str) -> None:
            nonlocal current
            current = next(calls) if when == "before" else current
            if current == number and when == how:
                raise error

        undo = stage.aws.hook(stop)
        try:
            return scenario.act(stage)
        except Killed:
            return None
        finally:
            undo()
    else:
        (kind,) = [kind for kind in KINDS if fault.startswith(kind)]
        stage.aws.fail("*", kind, call=number, times=1 if how == "once" else ALL_ATTEMPTS)
    return scenario.act(stage)
