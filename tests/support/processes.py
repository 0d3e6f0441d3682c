"""Check whether processes run."""

import os
import time
from pathlib import Path


def is_running(pid: int) -> bool:
    """Return True if the process exists, also as a zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def ends_soon(pid: int, timeout_s: float = 60) -> bool:
    """Return True as soon as the process has ended or is a zombie, or False after the time-out."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            if "zombie" in Path(f"/proc/{pid}/status").read_text():
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.01)
    return False
