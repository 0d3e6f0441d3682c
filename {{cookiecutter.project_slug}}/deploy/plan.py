"""A plan is data: the changes that make AWS match deploy.toml. `plan` prints it, and `deploy` applies it as computed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from deploy import image as images
from deploy.release import Live, read_live
from deploy.resource import Resource
from deploy.resources.function import ALIAS, version_settings
from deploy.stage import MANAGED_TAGS, run_concurrently
from deploy.state import Difference, State, differences, resolve, tag_dict

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
    content = images.content_tag(stage, rebuild=rebuild)
    states, (live, (tag, found)) = run_concurrently(
        lambda: read_recorded(stack, [resource for resource in stack.resources if resource.is_used()]),
        lambda: run_concurrently(
            lambda: read_live(stack.function),
            lambda: (
                images.find_built(stage, content) if image is None else (content, images.find_requested(stage, image))
            ),
        ),
    )
    resources = [resource for resource in stack.resources if resource in states]
    if stage.config.tags or any(MANAGED_TAGS in tag_dict(state.get("tags", {})) for state in states.values() if state):
        for resource, state in states.items():
            if state is not None:
                state.update(resource.read_tags(state))
    values: dict[str, str] = {}
    for resource in resources:
        values.update(resource.outputs(states[resource]))
    if found:
        values["image"] = f"{values['repository.uri']}@{found}" if image is None else found
    settings = resolve(version_settings(stack.function.settings()), values)
    changes = compare(resources, states, values)
    if live and live.weights:  # a release ends the split
        split = {
            f"requests to version {other}": Difference(f"{weight * 100:.0f}%", "0%")
            for other, weight in live.weights.items()
        }
        changes.append(Change("update", "alias", f"{stage.name}:{ALIAS}", split))
    return Plan(
        image_tag=tag,
        live=live,
        new_version=live is None or bool(differences(settings, live.settings)),
        version_settings=settings,
        changes=tuple(changes),
        values=values,
    )


def read_recorded(stack: Stack, resources: Sequence[Resource]) -> dict[Resource, State | None]:
    """Read these resources, and others whose creation is recorded in the tags of the service's role."""
    states = read_states(resources)
    tags = tag_dict((states[stack.role] or {}).get("tags", {}))
    others = [resource for resource in stack.resources if resource not in states and resource.is_recorded(tags)]
    return states | (read_states(others) if others else {})


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
    """Return the changes that give each resource its desired properties.

    Raise DeployError if AWS would refuse one, or if a resource must not be deleted yet.
    """
    changes: list[Change] = []
    for resource in resources:
        desired, current = resolve(resource.desired(), values), states[resource]
        if desired is None:
            if current is not None:
                resource.validate_deletion()
                changes.append(Change("delete", resource.kind, resource.name, {}))
        elif current is None:
            resource.validate(desired)
            fields = {key: Difference(None, value) for key, value in desired.items()}
            if resource.has_tags and resource.config.tags:
                fields["tags"] = Difference(None, resource.config.tags)
            changes.append(Change("create", resource.kind, resource.name, fields))
        elif fields := differences(desired, current):
            resource.validate({key: field.desired for key, field in fields.items()})
            changes.append(Change("update", resource.kind, resource.name, fields | _tag_difference(resource, current)))
        elif fields := _tag_difference(resource, current):
            changes.append(Change("update", resource.kind, resource.name, fields))
    return changes


def _tag_difference(resource: Resource, current: State) -> dict[str, Difference]:
    """Return the tags that differ, as a property `tags`. The desired value of a tag to remove is None."""
    if not resource.has_tags or "tags" not in current:
        return {}
    tags = tag_dict(current["tags"])
    changes = resource.stage.tag_changes(tags)
    return {"tags": Difference({key: tags.get(key) for key in changes}, changes)} if changes else {}


def apply(plan: Plan, resources: Iterable[Resource], values: dict[str, str]) -> str:
    """Create and update these resources as planned, in the order of the plan. Add the outputs of each to `values`."""
    ids = {resource.id: resource for resource in resources}
    changes = [change for change in plan.changes if change.resource_id in ids and change.action != "delete"]
    return apply_changes(changes, ids.values(), values)


def apply_deletions(plan: Plan, resources: Iterable[Resource]) -> str:
    """Delete what the plan deletes of these resources, in reverse order, because later ones use earlier ones.

    Nothing is deleted if one of them must not be deleted any more, such as a queue that is not empty.
    """
    ids = {resource.id: resource for resource in resources}
    changes = [change for change in plan.changes if change.resource_id in ids and change.action == "delete"]
    for change in changes:
        ids[change.resource_id].validate_deletion()
    return apply_changes(reversed(changes), ids.values(), {})


def apply_changes(changes: Iterable[Change], resources: Iterable[Resource], values: dict[str, str]) -> str:
    """Apply changes in their order and return a summary, such as "9 created", "1 updated" or "up to date".

    References are resolved with `values`, to which the outputs of each change are added.
    """
    by_id = {resource.id: resource for resource in resources}
    counts = {"create": 0, "update": 0, "delete": 0}
    for change in changes:
        resource = by_id[change.resource_id]
        properties = resolve({key: field.desired for key, field in change.fields.items()}, values)
        tags = properties.pop("tags", {})
        match change.action:
            case "create":
                values.update(resource.create(properties) or {})
            case "update":
                if removed := [key for key, value in tags.items() if value is None]:
                    resource.remove_tags(removed)
                if added := {key: value for key, value in tags.items() if value is not None}:
                    resource.add_tags(added)
                if properties:
                    values.update(resource.update(properties) or {})
            case "delete":
                resource.delete()
        counts[change.action] += 1
    return ", ".join(f"{count} {action}d" for action, count in counts.items() if count) or UP_TO_DATE
