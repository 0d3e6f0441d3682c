"""An interpreter that claims to have another version of Python, for the tests of deploy.sh and the Makefiles."""

import re
import sys
from pathlib import Path

from scripts.projects import TEMPLATE

SUPPORTED = re.search(
    r'(?m)^requires-python = ">=3\.(\d+),<3\.(\d+)"', (TEMPLATE / "pyproject.toml").read_text("utf-8")
)
assert SUPPORTED
OLDEST, NEWEST = int(SUPPORTED[1]), int(SUPPORTED[2]) - 1  # the minor versions that pyproject.toml allows

SCRIPT = """\
#!/bin/sh
# fake Python
case $1 in
    *.py) exec {python} -c 'import runpy, sys
sys.version_info = (3, {minor}, 0, "final", 0)
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")' "$@" ;;
esac
[ "$1" = -c ] || echo "$0 $*"
"""


def write_fake_python(path: Path, minor: int) -> None:
    """Write a program that runs a file as if this Python were 3.MINOR. It prints other commands except `-c`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(SCRIPT.format(python=sys.executable, minor=minor), encoding="utf-8")
    path.chmod(0o755)


def is_fake_python(path: Path) -> bool:
    """Return True if write_fake_python wrote this file."""
    return b"# fake Python" in path.read_bytes()
