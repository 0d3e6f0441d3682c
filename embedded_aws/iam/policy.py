"""Evaluate IAM policy statements, with the elements that role policies and resource policies of a service use."""

from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from typing import Any

from embedded_aws.errors import AwsError

NO_RESOURCE = "*"  # of an action without resource-level permissions; only the pattern "*" matches it
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "ArnEquals": fnmatchcase,
    "ArnLike": fnmatchcase,
    "Bool": lambda actual, expected: actual.lower() == expected.lower(),
    "StringEquals": lambda actual, expected: actual == expected,
    "StringLike": fnmatchcase,
}


def allows(
    statements: Iterable[dict[str, Any]],
    action: str,
    resource: str | None = None,
    principal: str | None = None,
    context: dict[str, str] | None = None,
) -> bool:
    """Return True if a statement allows the action and no statement denies it.

    The principal "*" is anyone. Without a principal, the statements belong to an identity and apply to it. Without a
    resource, they belong to the resource and apply to it. `check_elements` has accepted the statements.
    """
    allowed = False
    for statement in statements:
        if not _applies(statement, action, resource, principal, context or {}):
            continue
        if statement.get("Effect") == "Deny":
            return False
        allowed = True
    return allowed


def check_elements(statements: Iterable[dict[str, Any]]) -> None:
    """Raise AwsError for an element or a condition operator that AWS knows and `allows` does not evaluate."""
    for statement in statements:
        unknown = [element for element in ("NotAction", "NotPrincipal", "NotResource") if element in statement]
        for operator in statement.get("Condition", {}):
            try:
                _parse_operator(operator)
            except KeyError:
                unknown.append(operator)
        if unknown:
            raise AwsError("MalformedPolicyDocument", f"The embedded AWS does not evaluate {', '.join(unknown)}.")


def _applies(
    statement: dict[str, Any], action: str, resource: str | None, principal: str | None, context: dict[str, str]
) -> bool:
    if not any(fnmatchcase(action.lower(), pattern.lower()) for pattern in _list(statement["Action"])):
        return False
    if resource is not None and not any(fnmatchcase(resource, pattern) for pattern in _list(statement["Resource"])):
        return False
    if principal is not None and principal not in _principals(statement.get("Principal")):
        return False
    return all(
        _condition_matches(operator, key, _list(expected), context)
        for operator, conditions in statement.get("Condition", {}).items()
        for key, expected in conditions.items()
    )


def _condition_matches(operator: str, key: str, expected: list[str], context: dict[str, str]) -> bool:
    """Return True if the condition key has one of the expected values or, with a negated operator, none of them."""
    compare, negated = _parse_operator(operator)
    actual = next((value for name, value in context.items() if name.lower() == key.lower()), None)
    if actual is None:
        return negated or operator.endswith("IfExists")
    return any(compare(actual, str(value)) for value in expected) is not negated


def _parse_operator(operator: str) -> tuple[Callable[[str, str], bool], bool]:
    """Return the comparison of a condition operator, and whether it is negated. Raise KeyError if it is unknown."""
    base = operator.removesuffix("IfExists")
    negated = base in ("StringNotEquals", "StringNotLike", "ArnNotEquals", "ArnNotLike")
    return OPERATORS[base.replace("Not", "") if negated else base], negated


def _principals(principal: Any) -> list[str]:
    if isinstance(principal, dict):
        return [name for names in principal.values() for name in _list(names)]
    return _list(principal or [])


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
