"""What each execution environment needs of its own, though all of them are copies of one snapshot."""

import os
import random
from collections.abc import Callable

from snapshot_restore_py import register_after_restore  # type: ignore[import-untyped]

# Only versions have a snapshot: what runs outside Lambda, or as $LATEST, starts anew each time.
FROM_SNAPSHOT = os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start"
restored = not FROM_SNAPSHOT


def on_restore(work: Callable[[], object]) -> None:
    """Has this done after each restore, before the first request; at once where there is no snapshot.

    In the order in which it was asked for, within 10 s for all. What fails keeps the environment from serving.
    """
    if FROM_SNAPSHOT:
        register_after_restore(work)
    else:
        work()


def _own_randomness() -> None:
    global restored
    restored = True
    random.seed()  # or every environment would draw the same numbers


on_restore(_own_randomness)
