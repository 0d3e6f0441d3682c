"""IAM policy statements."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Literal

Statement = dict[str, Any]


def allow(service: str, actions: str, *resources: str, when: Mapping[str, str] | None = None) -> Statement:
    """Return a statement that allows these actions (names of one service, separated by spaces) on these resources.

    With `when`, the request's condition keys must match these patterns.
    """
    statement: Statement = {
        "Effect": "Allow",
        "Action": [f"{service}:{action}" for action in actions.split()],
        "Resource": [*resources],
    }
    return statement | ({"Condition": {"StringLike": dict(when)}} if when else {})


def allow_linked_role(role_arn: str, principal: str) -> Statement:
    """Allow the creation of a service-linked role, which an AWS service needs when it is first used in an account."""
    return allow("iam", "CreateServiceLinkedRole", role_arn, when={"iam:AWSServiceName": principal})


def tag_condition(source: Literal["Request", "Resource"], tags: Mapping[str, str]) -> dict[str, str]:
    """Return the condition that the request, or the existing resource, has the tags of this service and stage."""
    return {f"aws:{source}Tag/{key}": tags[key] for key in ("service", "stage")}


def policy_document(statements: Iterable[Statement]) -> dict[str, Any]:
    """Return a policy with these statements."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def merge(statements: Iterable[Statement], *, allowed: Sequence[Statement] = ()) -> list[Statement]:
    """Return statements that allow the same with fewer characters: IAM limits the size of a policy.

    Statements that differ only in their actions, or only in their resources, are combined. Actions and resources that
    another pattern includes, as `pr-*` includes `pr-*:*`, are left out, and so are actions that are `allowed` anyway.
    """
    remaining = _combine(
        [statement | {"Resource": _widest(statement["Resource"])} for statement in statements], "Action"
    )
    for statement in remaining:
        others = [*allowed, *(other for other in remaining if other is not statement)]
        statement["Action"] = [
            action for action in statement["Action"] if not any(_includes(other, action, statement) for other in others)
        ]
    return _combine([statement for statement in remaining if statement["Action"]], "Resource")


def _combine(statements: Iterable[Statement], varying: Literal["Action", "Resource"]) -> list[Statement]:
    """Combine statements that only differ in this key."""
    combined: dict[str, Statement] = {}
    for statement in statements:
        fixed = json.dumps({key: value for key, value in statement.items() if key != varying}, sort_keys=True)
        values = {*combined.get(fixed, statement)[varying], *statement[varying]}
        combined[fixed] = statement | {varying: sorted(values)}
    return list(combined.values())


def _widest(resources: Iterable[str]) -> list[str]:
    """Return the resources without those that another pattern includes."""
    unique = sorted({*resources})
    return [arn for arn in unique if not any(fnmatchcase(arn, other) for other in unique if other != arn)]


def _includes(other: Statement, action: str, statement: Statement) -> bool:
    """Return True if the other statement allows an action on all resources of a statement."""
    return (
        action in other["Action"]
        and other.get("Condition", statement.get("Condition")) == statement.get("Condition")
        and all(any(fnmatchcase(arn, pattern) for pattern in other["Resource"]) for arn in statement["Resource"])
    )
