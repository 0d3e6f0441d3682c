"""Check that pyproject.toml allows the Python that runs this file. Usage: python check_python.py COMMAND.

./deploy.sh and `make` do it before they install packages, because the error of pip would not name the problem. COMMAND
selects another Python, whose name replaces `{}`. This file also runs on an old Python 3, and needs no package.
"""

import re
import shutil
import sys
from pathlib import Path


def main() -> None:
    """Exit with an error if the version is too old or too new. Ignore limits in another form than >=3.11,<3.16."""
    limits = re.search(r'(?m)^requires-python = ">=3\.(\d+),<3\.(\d+)"', Path("pyproject.toml").read_text("utf-8"))
    if limits is None:
        return
    oldest, newest = int(limits.group(1)), int(limits.group(2)) - 1
    minor = sys.version_info[1]
    if not oldest <= minor <= newest:
        allowed = [f"python3.{number}" for number in range(newest, oldest - 1, -1)]
        installed = [name for name in allowed if shutil.which(name)]
        command = " ".join(sys.argv[1:]).replace("{}", [*installed, *allowed][0])
        sys.exit(
            f"Python 3.{minor} is {'older' if minor < oldest else 'newer'} than pyproject.toml allows "
            f"(3.{oldest} to 3.{newest}). Select another one: {command}"
        )


if __name__ == "__main__":
    main()
