"""The state that moto keeps in this process.

moto stores its backends in module-level dictionaries, so a process can run only one EmbeddedAws at a time.
"""

import threading

from moto.core.base_backend import BackendDict

moto_lock = threading.RLock()  # moto's backends are not thread-safe


def reset() -> None:
    """Delete all resources of all services."""
    BackendDict.reset()
