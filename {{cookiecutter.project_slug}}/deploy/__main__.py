"""What ./deploy.sh runs."""

import gc
import sys

gc.set_threshold(100_000)  # looking for garbage, of which there is little, takes a fifth of the start

try:
    from deploy.command_line import main
except KeyboardInterrupt:  # loading takes a second
    sys.exit(130)

# Line by line, so that stderr comes after it in a pipe; not every terminal of Windows has an arrow.
sys.stdout.reconfigure(line_buffering=True, errors="replace")  # type: ignore[union-attr]
sys.exit(main(sys.argv[1:]))
