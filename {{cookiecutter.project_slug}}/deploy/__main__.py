"""Entry point of ./deploy.sh."""

import sys
from pathlib import Path

try:
    from deploy.cli import main
except KeyboardInterrupt:  # importing boto3 takes half a second
    sys.exit(130)
except ImportError as error:  # something removed packages from .venv, such as uv sync
    Path(".venv/requirements-deploy.txt").unlink(missing_ok=True)
    sys.exit(f"A package of the deploy tool is missing in .venv: {error.name}.\nRun ./deploy.sh again to install it.")

# Write line by line, so that stdout and stderr stay in order in a pipe. Some Windows terminals cannot show every character.
if sys.stdout:  # the shell may have closed it
    sys.stdout.reconfigure(line_buffering=True, errors="replace")  # type: ignore[union-attr]
sys.exit(main(sys.argv[1:]))
