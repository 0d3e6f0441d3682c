"""Whatever goes wrong at whichever call: does what is live go on answering, and does the next run put it all right?

Every point is one call of one walk (a first deploy, an update, a rollback, a destroy) in one variant of the service,
and one way in which that call goes wrong. FAULTS says how many are tried: "sample" (the default), "ci" (all of the
default and the largest variant, and the sample of the others) or "all", which `make test-faults` does.
"""

import contextlib
import itertools
import os
import random
import sys
import urllib.error
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from tests.baking import CHOICES, Answers, name_of
from tests.conftest import Bake
from tests.deploying import Run, left_behind
from tests.embedded_aws.calls import Call
from tests.embedded_aws.faults import Kind
from tests.scene import NAME, Scene, scene

SEED = 20_261_123
SAMPLE = 36  # of the combinations of variant, walk and fault, each at one of its calls
ALL_ATTEMPTS = 5  # botocore's, by the deploy tool's setting
OPTIONS = ("endpoint", "migrations", "cold_starts")
VARIANTS = [dict(zip(OPTIONS, row, strict=True)) for row in itertools.product(*(CHOICES[one] for one in OPTIONS))]
WHOLE_IN_CI = (VARIANTS[0], VARIANTS[-1])


UNDISTURBED: dict[tuple[str, "Walk"], tuple[list[str], str]] = {}  # the calls of a walk, and the state it ends in


class Killed(BaseException):
    """The process is gone: nothing of it runs any more."""


@dataclass(frozen=True)
class Walk:
    """`before` is what was done until then, `act` what is disturbed, `live` what may answer meanwhile and after it."""

    before: tuple[str, ...]
    act: Callable[[Scene], Run]
    live: tuple[str, ...]
    then: str | None  # what a plain run afterwards deploys; None: it is destroyed once more


WALKS = {
    "first deploy": Walk((), lambda on: on.release("new"), (), "new"),
    "update": Walk(("old",), lambda on: on.release("new"), ("old", "new"), "new"),
    "rollback": Walk(("old", "new"), lambda on: on.deploy("rollback"), ("old", "new"), "new"),
    "destroy": Walk(("old",), lambda on: on.deploy("destroy", typed=f"{NAME}\n"), (), None),
}
KINDS: list[Kind] = ["throttle", "server_error", "reset_before", "reset_after"]
FAULTS = [
    # AWS fails once, which nobody should notice, or goes on failing until botocore gives up.
    *(f"{kind} {how}" for kind in KINDS for how in ("once", "to the end")),
    "access denied",
    "Ctrl-C before",
    "Ctrl-C after",
    "killed before",
    "killed after",
]
JOBS = [(variant, walk, fault) for variant in VARIANTS for walk in WALKS for fault in FAULTS]
SAMPLED = random.Random(SEED).sample(range(len(JOBS)), SAMPLE)  # noqa: S311


def whole(variant: Answers) -> bool:
    asked = os.environ.get("FAULTS", "sample")
    return asked == "all" or (asked == "ci" and variant in WHOLE_IN_CI)


CHOSEN = [job for number, job in enumerate(JOBS) if whole(job[0]) or number in SAMPLED]


@pytest.mark.parametrize(
    ("variant", "walk", "fault"),
    CHOSEN,
    ids=[f"{name_of(variant)}: {walk}: {fault}" for variant, walk, fault in CHOSEN],
)
def test_it_is_put_right(
    bake: Bake,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
    variant: Answers,
    walk: str,
    fault: str,
) -> None:
    sweep = Sweep(bake, tmp_path, variant, WALKS[walk])
    count = sweep.undisturbed()
    numbers = range(1, count + 1)
    for number in numbers if whole(variant) else random.Random(f"{SEED} {walk} {fault}").sample(numbers, 1):  # noqa: S311
        try:
            sweep.disturbed(number, fault)
        except (AssertionError, urllib.error.URLError) as error:
            sweep.figures["failures"] += 1
            raise AssertionError(f"call {number}, {sweep.calls[number - 1]}: {error!r}") from error
        finally:
            record_property("faults", sweep.figures)
            sweep.figures = dict.fromkeys(sweep.figures, 0)


class OneAtATime:
    """In place of a pool of threads, so that the calls of a run are in the same order every time."""

    def __init__(self, max_workers: int) -> None: ...

    def __enter__(self) -> "OneAtATime":
        return self

    def __exit__(self, *_: object) -> None: ...

    def map(self, function: Callable[[Any], Any], *each: Any) -> Iterator[Any]:
        return map(function, *each)

    def submit(self, function: Callable[[], Any]) -> "Future[Any]":
        done: Future[Any] = Future()
        done.set_result(function())
        return done


class Sweep:
    """One walk in one variant, disturbed again and again."""

    def __init__(self, bake: Bake, folder: Path, variant: Answers, walk: Walk) -> None:
        self.bake = bake
        self.folder = folder
        self.variant = variant
        self.walk = walk
        self.calls: list[str] = []  # of the walk, when nothing disturbs it
        self.figures = dict.fromkeys(("tried", "requests meanwhile", "failures", "left behind"), 0)
        self.state = ""  # that a plain run ends in

    @contextlib.contextmanager
    def scene(self) -> Iterator[Scene]:
        with (
            scene(self.bake, self.folder, **self.variant) as on,
            patch.object(sys.modules["deploy.stage"], "ThreadPoolExecutor", OneAtATime),
            patch.object(sys.modules["deploy.plan"], "ThreadPoolExecutor", OneAtATime),
        ):
            yield on

    def undisturbed(self) -> int:
        """How many calls the walk makes."""
        job = name_of(self.variant), self.walk
        if job not in UNDISTURBED:
            UNDISTURBED[job] = self._undisturbed()
        self.calls, self.state = UNDISTURBED[job]
        return len(self.calls)

    def _undisturbed(self) -> tuple[list[str], str]:
        with self.scene() as on:
            self.prepare(on)
            before = len(on.aws.calls)
            assert self.walk.act(on).code == 0
            calls = [call.action for call in on.aws.calls[before:] if call.caller == "deployer"]
            if not self.walk.then:
                return calls, ""
            assert on.release(self.walk.then).code == 0
            return calls, on.state()

    def prepare(self, on: Scene) -> None:
        for body in self.walk.before:
            done = on.release(body)
            assert done.code == 0, done.err

    def disturbed(self, number: int, fault: str) -> None:
        self.figures["tried"] += 1
        with self.scene() as on:
            self.prepare(on)
            undo = on.aws.hook(self.watch(on, on.url()))
            run = act(on, self.walk, number, fault)
            undo()
            on.aws.clear_faults()
            if run:
                self.told(run, fault)
                if fault.endswith(" once") and not self.may_be_noticed(number, fault):
                    assert run.code == 0, run.err
            if self.walk.live:
                self.request(on, on.url())
            if self.walk.then:
                again = on.release(self.walk.then)
                assert again.code == 0, again.err
                assert on.answer() == self.walk.then
                assert on.state() == self.state
            gone = on.deploy("destroy", typed=f"{NAME}\n")
            assert gone.code == 0, gone.err
            assert gone.out.endswith("0 left\n")
            left = left_behind(on.aws)
            self.figures["left behind"] += len(left)
            assert left == []

    def may_be_noticed(self, number: int, fault: str) -> bool:
        """An Invoke is never repeated; a change that is, because its answer was lost, may meet what it did itself."""
        return "Invoke" in self.calls[number - 1] or fault == "reset_after once"

    def told(self, run: Run, fault: str) -> None:
        """Two lines at most, the exit code that they mean, and never a traceback."""
        assert run.code in ((130,) if fault.startswith("Ctrl-C") else (0, 1)), run
        assert len(run.err.splitlines()) == (2 if run.code == 1 else run.code == 130), run.err

    def watch(self, on: Scene, url: str) -> Callable[[Call, int, str], None]:
        """A client that calls the URL after each change."""

        def changed(call: Call, number: int, when: str) -> None:
            if self.walk.live and when == "after" and call.mutating and call.operation != "Invoke":
                self.request(on, url)

        return changed

    def request(self, on: Scene, url: str) -> None:
        self.figures["requests meanwhile"] += 1
        assert on.answer(url) in self.walk.live


def act(on: Scene, walk: Walk, number: int, fault: str) -> Run | None:
    """The walk, with this fault at its `number`-th call; None when it was killed there."""
    how = fault.rpartition(" ")[2]
    if fault == "access denied":
        on.aws.fail("*", "deny", call=number)
    elif fault.startswith(("Ctrl-C", "killed")):
        stop, seen = Killed if fault.startswith("killed") else KeyboardInterrupt, itertools.count(1)
        now = 0

        def gone(call: Call, _: int, when: str) -> None:
            nonlocal now
            now = next(seen) if when == "before" else now
            if now == number and when == how:
                raise stop

        undo = on.aws.hook(gone)
        try:
            return walk.act(on)
        except Killed:
            return None
        finally:
            undo()
    else:
        (kind,) = [one for one in KINDS if fault.startswith(one)]
        on.aws.fail("*", kind, call=number, times=1 if how == "once" else ALL_ATTEMPTS)
    return walk.act(on)
