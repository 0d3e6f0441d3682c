"""Run `make demo` in a separate environment, and find the processes that it started."""

import os
import sys
from pathlib import Path

TRANSCRIPT = r"""
my-api · prod · us-east-1
(\[\d/\d\] .+
(      The base image may be outdated: .+
)?)+.*
\[\d/\d\] Checking the URL\.\.\..*
      \$ curl -s (?P<url>http://127\.0\.0\.1:\d+/)
      \{"ok":true\}
      cold start: (?P<cold>[\d,]+) ms  ·  warm: (?P<warm>[\d,]+) ms  ·  memory: [\d,]+ of 512 MB
\[\d/\d\] Cleaning up\.\.\. +nothing to remove
Deployed my-api in \d+s\.  (?P=url)

\$ curl -s (?P=url)
\{"ok":true\}
"""


DEMO = [sys.executable, "-m", "scripts.demo"]


def demo_environment(tmp_path: Path) -> dict[str, str]:
    """Return an environment with an empty HOME, no AWS settings, and a variable that `remaining_processes` searches."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTEST_"))}
    for folder in ("home", "temporary"):
        (tmp_path / folder).mkdir(exist_ok=True)
    return {
        **inherited,
        "HOME": str(tmp_path / "home"),
        "TMPDIR": str(tmp_path / "temporary"),
        "DEMO_TEST_FOLDER": str(tmp_path),
    }


def remaining_processes(tmp_path: Path) -> list[str]:
    """Return the command lines of the processes that still run with the environment of the demo."""
    processes = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"DEMO_TEST_FOLDER={tmp_path}".encode() in (process / "environ").read_bytes().split(b"\0"):
                processes.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue  # the process has ended, or belongs to another user
    return processes
