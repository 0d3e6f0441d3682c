"""Apply the corrections of all services."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

from moto.core.base_backend import AccountSpecificBackend

from embedded_aws.boto_session import session
from embedded_aws.calls import Call
from embedded_aws.moto_corrections.correction import Corrections, EditResponse, Patch, ServiceCorrections

# moto creates a session to list the Regions, and would read the user's profile for it.
SESSION: Patch = (AccountSpecificBackend, "get_session", session)


class MotoCorrections:
    """The corrections of these services."""

    def __init__(self, services: Iterable[ServiceCorrections]) -> None:
        self._corrections: Corrections = {}
        self._patches = [SESSION]
        for service in services:
            self._corrections |= service.corrections()
            self._patches += service.patches()

    def before(self, call: Call) -> EditResponse | None:
        """Run the correction of a call. Return a function that edits moto's response, or None.

        Raise AwsError if AWS refuses the call.
        """
        correction = self._corrections.get((call.service, call.operation))
        return correction(call) if correction else None

    @contextmanager
    def patched(self) -> Iterator[None]:
        """Patch moto's classes in this process, and restore them on exit."""
        with ExitStack() as stack:
            for owner, name, replacement in self._patches:
                stack.enter_context(patch.object(owner, name, replacement, create=True))
            yield
