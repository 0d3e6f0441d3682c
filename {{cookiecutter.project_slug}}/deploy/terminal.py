"""What the person at the terminal sees: one line a step, with its time; on a terminal it counts up while it runs."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

WIDTH = 33


@dataclass
class Step:
    """What a step has to say at its end: its outcome, and lines that belong below it."""

    title: str
    outcome: str = "done"
    timed: bool = True
    below: list[str] = field(default_factory=list)

    def skip(self, outcome: str) -> None:
        """For a step whose time says nothing."""
        self.outcome, self.timed = outcome, False

    def line(self, number: str, elapsed_s: float, outcome: str) -> str:
        took = f"({elapsed_s:.1f}s)" if self.timed else ""
        return f"{f'[{number}] {self.title}...':{WIDTH - 1}} {outcome} {took}".rstrip()


class Steps:
    """`[2/6] Pushing to ECR...          done (1.2s)`"""

    def __init__(self, total: int) -> None:
        self.total = total
        self.begun = 0
        self.started = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self.started

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        self.begun += 1
        step, number, started = Step(title), f"{self.begun}/{self.total}", time.monotonic()
        finished = threading.Event()

        def count_up() -> None:
            while not finished.wait(0.1):
                print(f"\r\033[K{step.line(number, time.monotonic() - started, '')}", end="", flush=True)

        counter = threading.Thread(target=count_up, daemon=True)
        if sys.stdout.isatty():
            counter.start()
        try:
            yield step
        except BaseException as error:
            step.outcome = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            step.timed = True
            raise
        finally:
            finished.set()
            if counter.is_alive():
                counter.join()
                print("\r\033[K", end="")
            print(step.line(number, time.monotonic() - started, step.outcome))
            for line in step.below:
                print(f"      {line}")
            sys.stdout.flush()
