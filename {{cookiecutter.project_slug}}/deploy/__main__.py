"""What ./deploy.sh runs."""

import sys

try:
    from deploy.command_line import main
except KeyboardInterrupt:  # loading takes a second
    sys.exit(130)

sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # so that stderr comes after it in a pipe
sys.exit(main(sys.argv[1:]))
