"""Test that a failure of any AWS call is harmless: the live version keeps responding, the next run repairs it.

A test runs a scenario (a first deploy, an update, a rollback, or a destroy) of one variant of the service with one
kind of failure at one of its calls, or at the check of the public URL. The variable FAULTS selects how many are tested:
"sample" (the default), "ci" (every call of the default and of the largest variant with every effect that a failure can
have, and the sample in the others) or "all". FAULTS_PART = "2/4" tests the second of four parts of these.
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
from scripts.deploy_tool import Run
from scripts.projects import CHOICES, Answers, combination_name
from tests.support.bake import Bake
from tests.support.deploy_tool import remaining_resources
from tests.support.deployed_stage import NAME, DeployedStage, deployed_stage
from tests.support.name_resolution import names_resolve_wrongly

SEED = 20_261_123
SAMPLE_SIZE = 40  # combinations of variant, scenario and fault, each with the fault at one call
URL_SAMPLE_SIZE = 16  # combinations of variant, scenario and fault of the public URL
ALL_ATTEMPTS = 5  # botocore's attempts of a call, as the deploy tool configures them
# The secrets alternate, so that each choice occurs together with all choices of the other options.
VARIANTS = [
    {"endpoint": endpoint, "secrets": secrets, "migrations": migrations, "cold_starts": cold_starts}
    for (endpoint, migrations, cold_starts), secrets in zip(
        itertools.product(*(CHOICES[name] for name in ("endpoint", "migrations", "cold_starts"))),
        itertools.cycle(CHOICES["secrets"]),
        strict=False,
    )
]
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
# The faults of a group have the same effect on the deploy tool. With FAULTS=ci, they take turns from call to call.
GROUPS: list[list[str]] = [
    # botocore repeats the call, which must not have any effect.
    ["throttle once", "server_error once", "reset_before once"],
    ["reset_after once", "page_502_after once"],
    # The response is not one of AWS, and the call was not carried out, or it was.
    ["page_200_before once", "page_403_before once", "empty_before once"],
    ["page_200_after once", "empty_after once", "truncated once", "cut_off once"],
    # The call has no effect, and the run ends: botocore gives up, or AWS rejects this call or all later ones too.
    ["throttle to the end", "server_error to the end", "reset_before to the end", "access denied", "expired"],
    ["reset_after to the end"],
    ["Ctrl-C before"],
    ["Ctrl-C after"],
    ["killed before"],
    ["killed after"],
]
FAULTS = [fault for group in GROUPS for fault in group]
REPEATED_BY_BOTOCORE = {*GROUPS[0], *GROUPS[1]}
CASES = [(variant, scenario, fault) for variant in VARIANTS for scenario in SCENARIOS for fault in FAULTS]
SAMPLE = random.Random(SEED).sample(range(len(CASES)), SAMPLE_SIZE)  # noqa: S311


def is_tested_completely(variant: Answers) -> bool:
    selected = os.environ.get("FAULTS", "sample")
    return selected == "all" or (selected == "ci" and variant in TESTED_COMPLETELY_IN_CI)


PART, PARTS = map(int, os.environ.get("FAULTS_PART", "1/1").split("/"))
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
    if is_tested_completely(variant):
        numbers = numbers if os.environ["FAULTS"] == "all" else in_turn(numbers, fault)
        numbers = numbers[PART - 1 :: PARTS]
    else:
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


def in_turn(numbers: Sequence[int], fault: str) -> Sequence[int]:
    """Return the calls at which it is this fault's turn in its group."""
    (group,) = [group for group in GROUPS if fault in group]
    return numbers[group.index(fault) :: len(group)]


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
            url = stage.url()
            remove_hook = stage.aws.hook(self._after_changes(lambda: self._request(stage, url)))
            run = run_with_fault(stage, self._scenario, number, fault)
            remove_hook()
            stage.aws.clear_faults()
            if run:
                self._assert_explained(run, fault)
                if fault in REPEATED_BY_BOTOCORE and not self._may_fail_the_run(number, fault):
                    assert run.code == 0, run.err
                if fault == "expired":
                    assert run.err.startswith("Your AWS credentials have expired: "), run
                    assert "Sign in again" in run.err
            if self._scenario.responses:
                self._request(stage, stage.url())
            if self._scenario.next_release:
                self._assert_repaired_by_next_release(stage, self._scenario.next_release)
            self._assert_destroyed(stage)

    def try_url_fault(self, fault: str, times: int | None) -> None:
        """Run the scenario while requests to the public URL fail. Raise AssertionError if it is not repaired.

        Meanwhile, the live version is invoked without the URL.
        """
        self.figures["tried"] += 1
        with self._start_stage() as stage:
            previous = stage.live_version() if self._scenario.responses else ""
            remove_hook = stage.aws.hook(self._after_changes(lambda: self._invoke_live_version(stage)))
            with requests_fail(stage, fault, times):
                run = self._scenario.run(stage)
            remove_hook()
            stage.aws.clear_faults()
            self._assert_explained(run, fault)
            if fault in NO_RESPONSE:
                assert run.code == (1 if times is None else 0), run
            if run.code:
                problem = "does not answer: " if fault in NO_RESPONSE else "returned status "
                assert problem in run.err.splitlines()[0]
            if run.code and self._scenario is SCENARIOS["update"]:
                assert f"Version {previous} is live again." in run.err
                assert stage.live_version() == previous
            assert all(is_live for is_live, _ in stage.provisioned_concurrency(stage.live_version()))
            self._request(stage, stage.url(), self._scenario.responses or ("new",))
            self._assert_repaired_by_next_release(stage, "new")
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

    def _after_changes(self, check: Callable[[], None]) -> Callable[[Call, int, str], None]:
        """Return a hook that runs the check after each change, if there is a live version."""

        def check_after_change(call: Call, number: int, when: str) -> None:
            if self._scenario.responses and when == "after" and call.mutating and call.operation != "Invoke":
                check()

        return check_after_change

    def _request(self, stage: DeployedStage, url: str, expected: Sequence[str] = ()) -> None:
        self.figures["requests meanwhile"] += 1
        assert stage.get(url) in (expected or self._scenario.responses)

    def _invoke_live_version(self, stage: DeployedStage) -> None:
        self.figures["requests meanwhile"] += 1
        assert stage.invoke({})["body"] in self._scenario.responses

    def _may_fail_the_run(self, number: int, fault: str) -> bool:
        """Return True for an Invoke that may have run, and for a change that is repeated unnecessarily."""
        is_lost = fault in GROUPS[1]
        return is_lost or ("Invoke" in self.calls[number - 1] and fault != "throttle once")

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
    elif fault == "expired":
        stage.aws.fail("*", "expired", call=number, times=None)
    else:
        kind: Any = fault.removesuffix(" once").removesuffix(" to the end")
        stage.aws.fail("*", kind, call=number, times=1 if how == "once" else ALL_ATTEMPTS)
    return scenario.run(stage)


NO_RESPONSE = ["unknown name", "refused", "timeout", "reset_before", "reset_after", "closed", "not_http", "truncated"]
STATUSES = ["page_403_before", "page_404_before", "page_502_after", "page_503_before"]
URL_CASES = [
    (variant, scenario, fault, how)
    for variant in VARIANTS
    for scenario in ("first deploy", "update", "rollback")
    for fault in NO_RESPONSE + STATUSES
    for how in ("once", "always")
]
URL_SAMPLE = random.Random(SEED).sample(range(len(URL_CASES)), URL_SAMPLE_SIZE)  # noqa: S311
SELECTED_URL_CASES = [
    case
    for number, case in enumerate(URL_CASES)
    if (is_tested_completely(case[0]) and number % PARTS == PART - 1) or number in URL_SAMPLE
]


@pytest.mark.parametrize(
    ("variant", "scenario", "fault", "how"),
    SELECTED_URL_CASES,
    ids=[f"{combination_name(variant)}: {' '.join(rest)}" for variant, *rest in SELECTED_URL_CASES],
)
def test_a_public_url_that_does_not_respond_ends_a_release(
    bake: Bake,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
    variant: Answers,
    scenario: str,
    fault: str,
    how: str,
) -> None:
    sweep = FaultSweep(bake, tmp_path, variant, SCENARIOS[scenario])
    try:
        sweep.try_url_fault(fault, None if how == "always" else 1)
    except (AssertionError, urllib.error.URLError):
        sweep.figures["failures"] += 1
        raise
    finally:
        record_property("faults", sweep.figures)


@contextlib.contextmanager
def requests_fail(stage: DeployedStage, fault: Any, times: int | None) -> Iterator[None]:
    """Let `times` requests to the public URL fail, or all of them if it is None."""
    if fault in NO_RESPONSE[:3]:
        with names_resolve_wrongly(stage.aws, fault, times):
            yield
    else:
        stage.aws.fail_requests(fault, times=times)
        yield


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
