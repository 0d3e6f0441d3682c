"""The progress of a deploy: one line per step with its time, which counts up on a terminal while the step runs."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

OUTCOME_COLUMN = 33


@dataclass
class Step:
    """A running step. Its outcome is printed when it ends, followed by `lines`."""

    title: str
    outcome: str = "done"
    show_time: bool = True
    lines: list[str] = field(default_factory=list)

    def skip(self, outcome: str) -> None:
        """Set the outcome of a step that had nothing to do, and hide its time."""
        self.outcome, self.show_time = outcome, False

    def format(self, number: str, elapsed_s: float, outcome: str) -> str:
        """Return the step's line, such as `[2/6] Pushing to ECR...          done (1.2s)`."""
        time_taken = f"({elapsed_s:.1f}s)" if self.show_time else ""
        return f"{f'[{number}] {self.title}...':{OUTCOME_COLUMN - 1}} {outcome} {time_taken}".rstrip()


class Progress:
    """Numbers and prints the steps of a deploy."""

    def __init__(self, total: int) -> None:
        self.total = total
        self._count = 0
        self._started = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the first step."""
        return time.monotonic() - self._started

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Run a step and print its line, even if it fails."""
        self._count += 1
        step, number, started = Step(title), f"{self._count}/{self.total}", time.monotonic()
        finished = threading.Event()

        def count_up() -> None:
            while not finished.wait(0.1):
                print(f"\r\033[K{step.format(number, time.monotonic() - started, '')}", end="", flush=True)

        counter = threading.Thread(target=count_up, daemon=True)
        if sys.stdout.isatty():
            counter.start()
        try:
            yield step
        except BaseException as error:
            step.outcome = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            step.show_time = True
            raise
        finally:
            finished.set()
            if counter.ident:  # it was started
                counter.join()
                print("\r\033[K", end="")
            print(step.format(number, time.monotonic() - started, step.outcome))
            for line in step.lines:
                print(f"      {line}")
            sys.stdout.flush()
