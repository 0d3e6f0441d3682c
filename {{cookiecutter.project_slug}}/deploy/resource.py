"""The one idea: a resource knows what it should be and what it is; the difference is a plan; a plan is data."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from deploy.aws import Aws
from deploy.config import Service
from deploy.problem import Problem

State = dict[str, Any]

EMPTY: Sequence[Any] = (None, "", [], {})  # AWS leaves out what is not set


class Resource(ABC):
    """One thing in AWS. To add one, copy the nearest file in `resources/` and list it in `resources/__init__.py`."""

    kind: ClassVar[str]

    def __init__(self, service: Service, aws: Aws) -> None:
        self.service = service
        self.aws = aws

    @property
    def name(self) -> str:
        return self.service.full_name

    @abstractmethod
    def desired(self) -> State | None:
        """What it should be, in AWS's own words, as far as this tool decides it; None: it should not be there."""

    @abstractmethod
    def read(self) -> State | None:
        """What it is, as AWS answers, with its `tags` where it can hold any; None: it is not there."""

    @abstractmethod
    def create(self) -> None: ...

    @abstractmethod
    def update(self, changed: State) -> None:
        """Makes the changed keys what they should be."""

    @abstractmethod
    def delete(self) -> None: ...


@dataclass(frozen=True)
class Change:
    """One step of a plan; `fields` maps each differing key to (what it is, what it should be)."""

    resource: Resource
    action: Literal["create", "update", "delete"]
    fields: Mapping[str, tuple[object, object]]


def read_all(resources: Sequence[Resource]) -> dict[Resource, State | None]:
    """What is there now; raises Problem when a name belongs to something that is not ours."""
    with ThreadPoolExecutor(max_workers=len(resources)) as pool:
        states = dict(zip(resources, pool.map(lambda resource: resource.read(), resources), strict=True))
    for resource, state in states.items():
        if state and "tags" in state:
            check_owner(resource, state["tags"])
    return states


def check_owner(resource: Resource, tags: Any) -> None:
    """Raises Problem when what has these tags was not made by this tool for this stage."""
    if not resource.service.tags.items() <= tag_dict(tags).items():
        raise Problem(
            f"There is a {resource.kind} named {resource.name} that was not made by this tool.",
            "Choose another name in deploy.toml, another --stage, or remove it.",
        )


def tag_dict(tags: Any) -> dict[str, str]:
    """Tags as a mapping; AWS's services tell them in one of two ways."""
    return dict(tags) if isinstance(tags, Mapping) else {tag["Key"]: tag.get("Value", "") for tag in tags}


def compare(resources: Sequence[Resource], states: Mapping[Resource, State | None]) -> list[Change]:
    """The plan: what would make each resource what it should be."""
    changes = []
    for resource in resources:
        desired, actual = resource.desired(), states[resource]
        if desired is None:
            if actual is not None:
                changes.append(Change(resource, "delete", {}))
        elif actual is None:
            changes.append(Change(resource, "create", {key: (None, value) for key, value in desired.items()}))
        elif fields := differences(desired, actual):
            changes.append(Change(resource, "update", fields))
    return changes


def differences(desired: State, actual: State) -> dict[str, tuple[object, object]]:
    """Each key of `desired` that AWS has otherwise, with what it is and what it should be."""
    return {key: (actual.get(key), value) for key, value in desired.items() if not _holds(actual.get(key), value)}


def _holds(actual: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict) and isinstance(actual, dict):  # AWS may tell more than was asked for
        return all(is_same(actual.get(key), value) for key, value in wanted.items())
    return is_same(actual, wanted)


def is_same(actual: Any, wanted: Any) -> bool:
    """Whether AWS has it so already."""
    return bool(actual == wanted or (actual in EMPTY and wanted in EMPTY))


def apply(changes: Iterable[Change]) -> str:
    """Carries out a plan and says what was done: "9 created", "1 updated", "up to date"."""
    done = {"create": 0, "update": 0, "delete": 0}
    for change in changes:
        match change.action:
            case "create":
                change.resource.create()
            case "update":
                change.resource.update({key: wanted for key, (_, wanted) in change.fields.items()})
            case "delete":
                change.resource.delete()
        done[change.action] += 1
    return ", ".join(f"{count} {action}d" for action, count in done.items() if count) or "up to date"
