"""./deploy.sh plan: what the next deploy would change, drift included; changes nothing."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator

from deploy import image as images
from deploy.aws import Aws, at_once
from deploy.config import Service
from deploy.release import live
from deploy.resource import Change, compare, is_same
from deploy.resources import Stack
{% if cookiecutter.cold_starts == 'provisioned_concurrency' %}
from deploy.resources.provisioned_concurrency import planned
{% endif %}
from deploy.verbs import deploy
from deploy.verbs.cost import DAYS, change_a_month

SIGNS = {"create": "+", "update": "~", "delete": "-"}


def arguments(parser: ArgumentParser, common: ArgumentParser) -> None:
    deploy.arguments(parser, common)
    parser.add_argument("--json", action="store_true", help="the same as data")
    parser.add_argument("--detailed-exitcode", action="store_true", help="exit with 2 when something would change")


def run(service: Service, aws: Aws, given: Namespace) -> int:
    """The exit code."""
    stack = Stack(service, aws)
    tag = images.content_tag(given.project, service)
    states, (now, found) = at_once(
        stack.read, lambda: at_once(lambda: live(stack.function), lambda: images.find(aws, service, tag, given.image))
    )
    stack.function.image = found or f"{service.full_name}:{tag}, to be built"
{% if cookiecutter.endpoint == 'http_api' %}
    changes = compare([*stack.before, *stack.after, stack.domain], states)
{% else %}
    changes = compare([*stack.before, *stack.after], states)
{% endif %}
{% if cookiecutter.cold_starts == 'provisioned_concurrency' %}
    if now:
        changes += planned(service, aws, now.version, live=now.version)
{% endif %}
    new_version = not (now and now.is_up_to_date(stack.function))
    count = len(changes) + new_version
    bill, next_bill = change_a_month(stack, states, now)
    code = 2 if count and given.detailed_exitcode else 0
    if given.json:
        dollars = {"is": round(bill, 2), "should_be": round(next_bill, 2)}
        data = {"new_version": new_version, "changes": [_data(one) for one in changes], "dollars_a_month": dollars}
        print(json.dumps(data, indent=2))
        return code
    print(f"{service.name} · {service.stage} · {service.region}")
    for change in changes:
        print(f"{SIGNS[change.action]} {change.resource.kind} {change.resource.name}")
        for field, was, wanted in _leaves(change):
            print(f"    {field}: {_text(wanted) if change.action == 'create' else f'{_text(was)} → {_text(wanted)}'}")
    if new_version:
        print(f"~ live: {f'version {now.version}' if now else 'nothing'} → a new version")
    if f"{bill:.2f}" != f"{next_bill:.2f}":
        print(f"$ a month: {bill:.2f} → {next_bill:.2f}, with as many requests as in the last {DAYS} days")
    print(f"{count} to change." if count else "Nothing to change.")
    return code


def _data(change: Change) -> dict[str, object]:
    fields = {field: {"is": was, "should_be": wanted} for field, was, wanted in _leaves(change)}
    return {"action": change.action, "kind": change.resource.kind, "name": change.resource.name, "fields": fields}


def _leaves(change: Change) -> Iterator[tuple[str, object, object]]:
    for key, (was, wanted) in change.fields.items():
        if isinstance(wanted, dict):  # AWS may tell more than was asked for
            for part, value in wanted.items():
                yield from _differing(f"{key}.{part}", was.get(part) if isinstance(was, dict) else None, value)
        else:
            yield from _differing(key, was, wanted)


def _differing(key: str, was: object, wanted: object) -> Iterator[tuple[str, object, object]]:
    if isinstance(was, dict) and isinstance(wanted, dict):
        for part in {**was, **wanted}:
            yield from _differing(f"{key}.{part}", was.get(part), wanted.get(part))
    elif not is_same(was, wanted):
        yield key, was, wanted


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)
