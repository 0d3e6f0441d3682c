"""The two kinds of corrections: a function that runs before moto handles a call, and a patch of moto's code."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

from werkzeug import Response

from embedded_aws.calls import Call

# Changes moto's response in place. Not called if the response is an error.
EditResponse = Callable[[Response], None]
# Runs before moto handles a call. Raises AwsError if AWS refuses the call.
Correction = Callable[[Call], EditResponse | None]
# By service and operation, as in ("ecr", "BatchDeleteImage").
Corrections = dict[tuple[str, str], Correction]
# A class or a module of moto, the name of an attribute and its replacement.
Patch = tuple[type | ModuleType, str, Any]


class ServiceCorrections:
    """The corrections of one service."""

    def __init__(self, account: str) -> None:
        self._account = account

    def corrections(self) -> Corrections:
        """Return the functions that run before moto handles a call."""
        return {}

    def patches(self) -> list[Patch]:
        """Return the methods to replace while an EmbeddedAws is running. They affect the whole process."""
        return []
