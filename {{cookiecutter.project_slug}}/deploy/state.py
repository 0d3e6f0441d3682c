"""The properties of resources: references to values that are not known yet, and comparison with AWS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

State = dict[str, Any]

EMPTY: Sequence[Any] = (None, "", [], {})  # AWS leaves out properties that are not set


@dataclass(frozen=True)
class Reference:
    """A value that becomes known while a plan is applied, such as the ID of an API that does not exist yet.

    In `template`, the text around the value, {} stands for the value.
    """

    name: str
    template: str = "{}"

    def __str__(self) -> str:
        """Return the text with the name of the value, such as <image>."""
        return self.template.replace("{}", f"<{self.name}>")


def resolve(value: Any, values: Mapping[str, str]) -> Any:
    """Return `value` with each reference inside it replaced, if its value is known."""
    match value:
        case Reference() if value.name in values:
            return value.template.replace("{}", values[value.name])
        case dict():
            return {key: resolve(item, values) for key, item in value.items()}
        case list():
            return [resolve(item, values) for item in value]
        case _:
            return value


class Difference(NamedTuple):
    """The value of a property in AWS, and what it should be."""

    current: Any
    desired: Any


def differences(desired: State, current: State) -> dict[str, Difference]:
    """Return each key of `desired` whose value differs in AWS."""
    return {
        key: Difference(current.get(key), value)
        for key, value in desired.items()
        if not _matches(current.get(key), value)
    }


def _matches(current: Any, desired: Any) -> bool:
    if isinstance(desired, dict) and isinstance(current, dict):  # AWS may return additional keys
        return all(is_equal(current.get(key), value) for key, value in desired.items())
    return is_equal(current, desired)


def is_equal(current: Any, desired: Any) -> bool:
    """Return True if the values are equal. A missing value equals an empty one."""
    return bool(current == desired or (current in EMPTY and desired in EMPTY))


def tag_dict(tags: Any) -> dict[str, str]:
    """Return tags as a dictionary. Some of AWS's APIs return them as a list of Key and Value."""
    return dict(tags) if isinstance(tags, Mapping) else {tag["Key"]: tag.get("Value", "") for tag in tags}
