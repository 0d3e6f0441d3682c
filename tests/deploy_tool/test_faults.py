"""Test that a failure of any AWS call is harmless: the live version keeps responding, the next run repairs it.

A test runs a scenario (a first deploy, an update, a rollback, or a destroy) of one variant of the service with one
kind of failure at one of its calls. The variable FAULTS selects how many are tested: "sample" (the default), "ci" (all
faults in the default and in the largest variant, and the sample in the others) or "all".
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
from typing import Any, ClassVar
from unittest.mock import patch

import pytest

from embedded_aws.calls import DEPLOYER, Call
from embedded_aws.faults import Kind
from scripts.deploy_tool import Run
from scripts.projects import CHOICES, Answers, combination_name
from tests.support.bake import Bake
from tests.support.deploy_tool import remaining_resources
from tests.support.deployed_stage import NAME, DeployedStage, deployed_stage

SEED = 20_261_123
SAMPLE_SIZE = 36  # combinations of variant, scenario and fault, each with the fault at one call
ALL_ATTEMPTS = 5  # botocore's attempts of a call, as the deploy tool configures them
OPTIONS = ("endpoint", "migrations", "cold_starts")
VARIANTS = [dict(zip(OPTIONS, row, strict=True)) for row in itertools.product(*(CHOICES[name] for name in OPTIONS))]
TESTED_COMPLETELY_IN_CI = (VARIANTS[0], VARIANTS[-1])


@dataclass(frozen=True)
class Scenario:
    """A run of the deploy tool, and what is expected of it.

    `releases` are deployed before `run`. While `run` fails and afterwards, the URL returns one of `responses`; if it is
    empty, nothing is requested. `next_release` is deployed afterwards, or None if the stage is only destroyed.
    """

    releases: tuple[str, ...]
    run: Callable[[DeployedStage], Run]
    responses: tuple[str, ...]
    next_release: str | None


SCENARIOS = {
    "first deploy": Scenario((), lambda stage: stage.release("new"), (), "new"),
    "update": Scenario(("old",), lambda stage: stage.release("new"), ("old", "new"), "new"),
    "rollback": Scenario(("old", "new"), lambda stage: stage.deploy("rollback"), ("old", "new"), "new"),
    "destroy": Scenario(("old",), lambda stage: stage.deploy("destroy", typed=f"{NAME}\n"), (), None),
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
CASES = [(variant, scenario, fault) for variant in VARIANTS for scenario in SCENARIOS for fault in FAULTS]
SAMPLE = random.Random(SEED).sample(range(len(CASES)), SAMPLE_SIZE)  # noqa: S311


def is_tested_completely(variant: Answers) -> bool:
    selected = os.environ.get("FAULTS", "sample")
    return selected == "all" or (selected == "ci" and variant in TESTED_COMPLETELY_IN_CI)


SELECTED = [case for number, case in enumerate(CASES) if is_tested_completely(case[0]) or number in SAMPLE]


@pytest.mark.parametrize(
    ("variant", "scenario", "fault"),
    SELECTED,
    ids=[f"{combination_name(variant)}: {scenario}: {fault}" for variant, scenario, fault in SELECTED],
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
    numbers: Sequence[int] = range(1, len(sweep.calls) + 1)
    if not is_tested_completely(variant):
        numbers = random.Random(f"{SEED} {scenario} {fault}").sample(numbers, 1)  # noqa: S311
    for number in numbers:
        try:
            sweep.try_fault_at(number, fault)
        except (AssertionError, urllib.error.URLError) as error:
            sweep.figures["failures"] += 1
            raise AssertionError(f"call {number}, {sweep.calls[number - 1]}: {error!r}") from error
        finally:
            record_property("faults", sweep.figures)  # for the summary after all tests
            sweep.figures = dict.fromkeys(sweep.figures, 0)


class FaultSweep:
    """A scenario of one variant that is repeated with a fault at another call each time.

    `calls` and `state` are the AWS calls and the final state of the scenario without a fault. `figures` counts what was
    tested.
    """

    _without_fault: ClassVar[dict[tuple[str, Scenario], tuple[list[str], str]]] = {}

    def __init__(self, bake: Bake, folder: Path, variant: Answers, scenario: Scenario) -> None:
        self.figures = dict.fromkeys(("tried", "requests meanwhile", "failures", "left behind"), 0)
        self._bake = bake
        self._folder = folder
        self._variant = variant
        self._scenario = scenario
        key = combination_name(variant), scenario
        if key not in self._without_fault:
            self._without_fault[key] = self._run_without_fault()
        self.calls, self.state = self._without_fault[key]

    def try_fault_at(self, number: int, fault: str) -> None:
        """Run the scenario with a fault at its `number`-th call. Raise AssertionError if it is not repaired."""
        self.figures["tried"] += 1
        with self._start_stage() as stage:
            remove_hook = stage.aws.hook(self._request_after_changes(stage, stage.url()))
            run = run_with_fault(stage, self._scenario, number, fault)
            remove_hook()
            stage.aws.clear_faults()
            if run:
                self._assert_explained(run, fault)
                if fault.endswith(" once") and not self._may_fail_the_run(number, fault):
                    assert run.code == 0, run.err
            if self._scenario.responses:
                self._request(stage, stage.url())
            if self._scenario.next_release:
                self._assert_repaired_by_next_release(stage, self._scenario.next_release)
            self._assert_destroyed(stage)

    @contextlib.contextmanager
    def _start_stage(self) -> Iterator[DeployedStage]:
        """Deploy the releases that exist before the scenario."""
        with (
            deployed_stage(self._bake, self._folder, **self._variant) as stage,
            patch.object(sys.modules["deploy.stage"], "ThreadPoolExecutor", SequentialPool),
            patch.object(sys.modules["deploy.plan"], "ThreadPoolExecutor", SequentialPool),
        ):
            for body in self._scenario.releases:
                run = stage.release(body)
                assert run.code == 0, run.err
            yield stage

    def _run_without_fault(self) -> tuple[list[str], str]:
        """Return the calls of the scenario, and the state after the next release."""
        with self._start_stage() as stage:
            before = len(stage.aws.calls)
            assert self._scenario.run(stage).code == 0
            calls = [call.action for call in stage.aws.calls[before:] if call.caller == DEPLOYER]
            if not self._scenario.next_release:
                return calls, ""
            assert stage.release(self._scenario.next_release).code == 0
            return calls, stage.state()

    def _request_after_changes(self, stage: DeployedStage, url: str) -> Callable[[Call, int, str], None]:
        """Return a hook that requests the URL after each change."""

        def request_after_change(call: Call, number: int, when: str) -> None:
            if self._scenario.responses and when == "after" and call.mutating and call.operation != "Invoke":
                self._request(stage, url)

        return request_after_change

    def _request(self, stage: DeployedStage, url: str) -> None:
        self.figures["requests meanwhile"] += 1
        assert stage.get(url) in self._scenario.responses

    def _may_fail_the_run(self, number: int, fault: str) -> bool:
        """Return True for an Invoke, which is never repeated, and for a change that is repeated unnecessarily."""
        return "Invoke" in self.calls[number - 1] or fault == "reset_after once"

    def _assert_explained(self, run: Run, fault: str) -> None:
        """Raise AssertionError unless the exit code fits and an error has two lines and no traceback."""
        expected_codes = (130,) if fault.startswith("Ctrl-C") else (0, 1)
        assert run.code in expected_codes, run
        expected_lines = {0: 0, 1: 2, 130: 1}
        assert len(run.err.splitlines()) == expected_lines[run.code], run.err

    def _assert_repaired_by_next_release(self, stage: DeployedStage, release: str) -> None:
        run = stage.release(release)
        assert run.code == 0, run.err
        assert stage.get() == release
        assert stage.state() == self.state

    def _assert_destroyed(self, stage: DeployedStage) -> None:
        run = stage.deploy("destroy", typed=f"{NAME}\n")
        assert run.code == 0, run.err
        assert run.out.endswith("0 left\n")
        remaining = remaining_resources(stage.aws)
        self.figures["left behind"] += len(remaining)
        assert remaining == []


def run_with_fault(stage: DeployedStage, scenario: Scenario, number: int, fault: str) -> Run | None:
    """Run the scenario with this fault at its `number`-th call. Return None if the process was killed."""
    name, _, how = fault.rpartition(" ")
    if name in ("Ctrl-C", "killed"):
        return run_until_stopped(stage, scenario, number, how, Killed if name == "killed" else KeyboardInterrupt)
    if fault == "access denied":
        stage.aws.fail("*", "deny", call=number)
    else:
        (kind,) = [kind for kind in KINDS if fault.startswith(kind)]
        stage.aws.fail("*", kind, call=number, times=1 if how == "once" else ALL_ATTEMPTS)
    return scenario.run(stage)


class Killed(BaseException):
    """Ends a run as if the process had been killed: the deploy tool does not catch it."""


def run_until_stopped(
    stage: DeployedStage, scenario: Scenario, number: int, when: str, error: type[BaseException]
) -> Run | None:
    """Run the scenario and raise the error "before" or "after" its `number`-th call. Return None if it was Killed."""
    calls = itertools.count(1)
    current = 0

    def stop(call: Call, _: int, moment: str) -> None:
        nonlocal current
        current = next(calls) if moment == "before" else current
        if current == number and moment == when:
            raise error

    remove_hook = stage.aws.hook(stop)
    try:
        return scenario.run(stage)
    except Killed:
        return None
    finally:
        remove_hook()


class SequentialPool:
    """Replaces ThreadPoolExecutor, so that the calls of a run have the same order every time."""

    def __init__(self, max_workers: int) -> None: ...

    def __enter__(self) -> "SequentialPool":
        return self

    def __exit__(self, *_: object) -> None: ...

    def map(self, function: Callable[[Any], Any], *arguments: Any) -> Iterator[Any]:
        return map(function, *arguments)

    def submit(self, function: Callable[[], Any]) -> "Future[Any]":
        future: Future[Any] = Future()
        future.set_result(function())
        return future
