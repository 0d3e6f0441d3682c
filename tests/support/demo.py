"""Run `make demo` in an environment of its own."""

import os
import sys
from pathlib import Path

TRANSCRIPT = r"""
my-api · prod · us-east-1
(\[\d/\d\] .+
)+.*
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
    """A fresh HOME, no AWS settings, and a mark by which every process that the demo starts can be found."""
    here = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTEST_"))}
    for folder in ("home", "temporary"):
        (tmp_path / folder).mkdir(exist_ok=True)
    return {
        **here,
        "HOME": str(tmp_path / "home"),
        "TMPDIR": str(tmp_path / "temporary"),
        "DEMO_MARK": str(tmp_path),
    }


def remaining_processes(tmp_path: Path) -> list[str]:
    """The processes that carry the mark."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"DEMO_MARK={tmp_path}".encode() in (process / "environ").read_bytes().split(b"\0"):
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue  # it has ended, or is not ours
    return found
