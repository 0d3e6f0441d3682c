"""Entry point of ./deploy.sh."""

import sys

try:
    from deploy.cli import main
except KeyboardInterrupt:  # importing boto3 takes half a second
    sys.exit(130)

# Write line by line, so that stdout and stderr stay in order in a pipe. Some Windows terminals cannot show every character.
sys.stdout.reconfigure(line_buffering=True, errors="replace")  # type: ignore[union-attr]
sys.exit(main(sys.argv[1:]))
