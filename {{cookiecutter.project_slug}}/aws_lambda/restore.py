"""SnapStart: Lambda imports the service once, takes a snapshot, and restores each execution environment from it."""

import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from snapshot_restore_py import register_after_restore  # type: ignore[import-untyped]

# Outside Lambda, and for the unpublished version $LATEST, no snapshot is taken.
IN_SNAPSHOT = os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start"


class SecretsNotLoadedError(Exception):
    """The service could not be imported for the snapshot, probably because it needs a secret."""


def on_restore(function: Callable[[], object]) -> None:
    """Call the function after each restore, before the first request. Without a snapshot, call it now.

    Functions are called in the order of their registration and may take 10 s in total. An exception prevents the
    execution environment from serving requests.
    """
    if IN_SNAPSHOT:
        register_after_restore(function)
    else:
        function()


@contextmanager
def explain_import_errors() -> Iterator[None]:
    """Add advice to an exception in the `with` block, if it may have been raised because secrets are not loaded yet."""
    try:
        yield
    except Exception as error:
        secrets = os.environ.get("SECRET_NAMES")
        if IN_SNAPSHOT and secrets:
            raise SecretsNotLoadedError(
                f"{type(error).__name__}: {error}\n"
                f"Secrets ({secrets}) are not set while the service is imported for the SnapStart snapshot, so that "
                "no snapshot contains them. If the service needs a secret during the import, read it when a request "
                "needs it, for example with get_settings(), or choose another answer to cold_starts."
            ) from error
        raise


on_restore(random.seed)  # otherwise all environments would generate the same random numbers
