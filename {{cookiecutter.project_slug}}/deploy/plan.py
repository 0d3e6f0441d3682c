"""A plan is data: the changes that make AWS match deploy.toml. `plan` prints it, and `deploy` applies it as computed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from deploy import image as images
from deploy.release import Live, read_live
from deploy.resource import Phase, Resource
from deploy.resources.function import version_settings
from deploy.stage import run_concurrently
from deploy.state import Difference, State, differences, resolve

if TYPE_CHECKING:
    from deploy.stack import Stack

UP_TO_DATE = "up to date"


@dataclass(frozen=True)
class Change:
    """One step of a plan: what to do with a resource, and the properties that differ."""

    action: Literal["create", "update", "delete"]
    kind: str
    name: str
    fields: Mapping[str, Difference]

    @property
    def resource_id(self) -> str:
        """The resource's `id`."""
        return f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Plan:
    """The changes that a deploy will make.

    `values` are the outputs that are known already, among them `image`, the URI of the image if it is in ECR.
    `version_settings` are the properties of the function that a version will have.
    """

    image_tag: str
    live: Live | None
    new_version: bool
    version_settings: State
    changes: tuple[Change, ...]
    values: Mapping[str, str]

    def concerns(self, resource: Resource) -> bool:
        """Return True if the resource is wanted, or has to be deleted."""
        return resource.desired() is not None or self.changes_resource(resource)

    def changes_resource(self, resource: Resource) -> bool:
        """Return True if a change concerns this resource."""
        return resource.id in [change.resource_id for change in self.changes]


def make_plan(stack: Stack, image: str | None = None, *, rebuild: bool = False) -> Plan:
    """Compare the service with AWS and return the plan. Nothing is changed.

    `image` is the URI of an image to deploy instead of the working tree. Raise DeployError if a deploy would fail: a
    name is taken by somebody else's resource, a secret has no value, or the image does not exist.
    """
    stage = stack.stage
    tag = images.content_tag(stage, rebuild=rebuild)
    resources = [resource for resource in stack.resources if resource.is_used()]
    states, (live, found) = run_concurrently(
        lambda: read_states(resources),
        lambda: run_concurrently(
            lambda: read_live(stack.function),
            lambda: images.find_built(stage, tag) if image is None else images.find_requested(stage, image),
        ),
    )
    values: dict[str, str] = {}
    for resource in resources:
        values.update(resource.outputs(states[resource]))
    if found:
        values["image"] = f"{values['repository.uri']}@{found}" if image is None else found
    settings = resolve(version_settings(stack.function.desired()), values)
    return Plan(
        image_tag=tag,
        live=live,
        new_version=live is None or bool(differences(settings, live.settings)),
        version_settings=settings,
        changes=tuple(compare([one for one in resources if one.phase is not Phase.NEVER], states, values)),
        values=values,
    )


def read_states(resources: Sequence[Resource]) -> dict[Resource, State | None]:
    """Read all resources concurrently. Raise DeployError if one was not created by this tool for this stage."""
    with ThreadPoolExecutor(max_workers=max(len(resources), 1)) as pool:
        states = dict(zip(resources, pool.map(lambda resource: resource.read(), resources), strict=True))
    for resource, state in states.items():
        if state and "tags" in state:
            resource.check_owner(state["tags"])
    return states


def compare(
    resources: Iterable[Resource], states: Mapping[Resource, State | None], values: Mapping[str, str]
) -> list[Change]:
    """Return the changes that give each resource its desired properties."""
    changes = []
    for resource in resources:
        desired, current = resolve(resource.desired(), values), states[resource]
        if desired is None:
            if current is not None:
                changes.append(Change("delete", resource.kind, resource.name, {}))
        elif current is None:
            fields = {key: Difference(None, value) for key, value in desired.items()}
            changes.append(Change("create", resource.kind, resource.name, fields))
        elif fields := differences(desired, current):
            changes.append(Change("update", resource.kind, resource.name, fields))
    return changes


def apply(plan: Plan, resources: Iterable[Resource], values: dict[str, str]) -> str:
    """Apply the planned changes of these resources, in the order of the plan. Add the outputs of each to `values`."""
    ids = {resource.id: resource for resource in resources}
    return apply_changes([change for change in plan.changes if change.resource_id in ids], ids.values(), values)


def apply_changes(changes: Iterable[Change], resources: Iterable[Resource], values: dict[str, str]) -> str:
    """Apply changes in their order and return a summary, such as "9 created", "1 updated" or "up to date".

    References are resolved with `values`, to which the outputs of each change are added.
    """
    by_id = {resource.id: resource for resource in resources}
    counts = {"create": 0, "update": 0, "delete": 0}
    for change in changes:
        resource = by_id[change.resource_id]
        properties = resolve({key: field.desired for key, field in change.fields.items()}, values)
        match change.action:
            case "create":
                values.update(resource.create(properties) or {})
            case "update":
                values.update(resource.update(properties) or {})
            case "delete":
                resource.delete()
        counts[change.action] += 1
    return ", ".join(f"{count} {action}d" for action, count in counts.items() if count) or UP_TO_DATE
