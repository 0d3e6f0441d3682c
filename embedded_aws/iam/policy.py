"""Does this policy allow that? The part of IAM's evaluation that resource policies and small role policies use."""

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
    """True when a statement allows it and none denies it. `principal` "*" stands for anyone."""
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
        _holds(operator, key, _list(expected), context)
        for operator, tests in statement.get("Condition", {}).items()
        for key, expected in tests.items()
    )


def _holds(operator: str, key: str, expected: list[str], context: dict[str, str]) -> bool:
    actual = next((value for name, value in context.items() if name.lower() == key.lower()), None)
    if actual is None:
        return False
    if operator in ("ArnLike", "StringLike", "ArnEquals"):
        return any(fnmatchcase(actual, pattern) for pattern in expected)
    return actual.lower() in [e.lower() for e in expected] if operator == "Bool" else actual in expected


def _principals(principal: Any) -> list[str]:
    if isinstance(principal, dict):
        return [one for value in principal.values() for one in _list(value)]
    return _list(principal or [])


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
