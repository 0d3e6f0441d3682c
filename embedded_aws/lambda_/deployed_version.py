"""The immutable code and configuration that an execution environment runs."""

from dataclasses import dataclass
from typing import Any

Config = dict[str, Any]  # a FunctionConfiguration, with the keys of AWS's API


@dataclass(frozen=True, eq=False)
class DeployedVersion:
    """The configuration and image of a published version, or of $LATEST between two updates.

    Each execution environment belongs to exactly one of these.
    """

    function: str
    version: str
    config: Config
    image_uri: str
    image_digest: str
