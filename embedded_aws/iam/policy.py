"""Evaluate IAM policy statements, with the elements that role policies and resource policies of a service use."""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any


def allows(
    statements: Iterable[dict[str, Any]],
    action: str,
    resource: str = "*",
    principal: str | None = None,
    context: dict[str, str] | None = None,
) -> bool:
    """Return True if a statement allows the action and no statement denies it.

    The principal "*" is anyone. Without a principal, the statements belong to an identity and apply to it.
    """
    allowed = False
    for statement in statements:
        if not _applies(statement, action, resource, principal, context or {}):
            continue
        if statement.get("Effect") == "Deny":
            return False
        allowed = True
    return allowed


def _applies(
    statement: dict[str, Any], action: str, resource: str, principal: str | None, context: dict[str, str]
) -> bool:
    actions, resources = _list(statement.get("Action", [])), _list(statement.get("Resource", "*"))
    if not any(fnmatchcase(action.lower(), pattern.lower()) for pattern in actions):
        return False
    if resource != "*" and not any(fnmatchcase(resource, pattern) for pattern in resources):
        return False
    if principal is not None and principal not in _principals(statement.get("Principal")):
        return False
    return all(
        _condition_matches(operator, key, _list(expected), context)
        for operator, conditions in statement.get("Condition", {}).items()
        for key, expected in conditions.items()
    )


def _condition_matches(operator: str, key: str, expected: list[str], context: dict[str, str]) -> bool:
    actual = next((value for name, value in context.items() if name.lower() == key.lower()), None)
    if actual is None:
        return False
    if operator in ("ArnLike", "StringLike", "ArnEquals"):
        return any(fnmatchcase(actual, pattern) for pattern in expected)
    if operator == "Bool":
        return actual.lower() in [value.lower() for value in expected]
    return actual in expected


def _principals(principal: Any) -> list[str]:
    if isinstance(principal, dict):
        return [name for names in principal.values() for name in _list(names)]
    return _list(principal or [])


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
