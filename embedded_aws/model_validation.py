"""Check the parameters of a call against the constraints in AWS's own service model."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape

from embedded_aws.errors import AwsError


def check(params: dict[str, Any], shape: Shape | None) -> None:
    """Raise ValidationException with all violations, in the words of AWS."""
    violations = list(_violations(params, shape, "")) if shape is not None else []
    if violations:
        count = f"{len(violations)} validation error{'s' if len(violations) > 1 else ''} detected"
        raise AwsError("ValidationException", f"{count}: {'; '.join(violations)}")


def _violations(value: Any, shape: Shape, path: str) -> Iterator[str]:
    """Yield the violations of a value and of everything in it. `path` names the value, as in "environment"."""
    if isinstance(shape, StructureShape):
        for name, member in shape.members.items():
            member_path = f"{path}.{_lower_first(name)}" if path else _lower_first(name)
            if value.get(name) is not None:
                yield from _violations(value[name], member, member_path)
            elif name in shape.required_members:
                yield f"Value null at '{member_path}' failed to satisfy constraint: Member must not be null"
        return
    for constraint in _violated_constraints(value, shape):
        yield f"Value '{_format(value)}' at '{path}' failed to satisfy constraint: {constraint}"
    if isinstance(shape, ListShape):
        for index, item in enumerate(value):
            yield from _violations(item, shape.member, f"{path}.{index + 1}.member")
    elif isinstance(shape, MapShape):
        for key, item in value.items():
            yield from _violations(key, shape.key, f"{path}.{key}.key")
            yield from _violations(item, shape.value, f"{path}.{key}.member")


def _violated_constraints(value: Any, shape: Shape) -> Iterator[str]:
    constraints = shape.metadata
    if shape.type_name in ("integer", "long", "float", "double"):
        size, measure = value, "value"
    elif shape.type_name in ("string", "list", "map", "blob"):
        size, measure = len(value), "length"
    else:
        return
    if "min" in constraints and size < constraints["min"]:
        yield f"Member must have {measure} greater than or equal to {constraints['min']}"
    if "max" in constraints and size > constraints["max"]:
        yield f"Member must have {measure} less than or equal to {constraints['max']}"
    if "enum" in constraints and value not in constraints["enum"]:
        yield f"Member must satisfy enum value set: [{', '.join(constraints['enum'])}]"
    if "pattern" in constraints and shape.type_name == "string":
        pattern = _compile(constraints["pattern"])
        if pattern and not pattern.fullmatch(value):
            yield f"Member must satisfy regular expression pattern: {constraints['pattern']}"


@cache
def _compile(pattern: str) -> re.Pattern[str] | None:
    """Return the compiled pattern, or None if it uses syntax of Java that Python does not have."""
    try:
        return re.compile(pattern)
    except re.error:
        return None


def _lower_first(name: str) -> str:
    return name[:1].lower() + name[1:]


def _format(value: Any) -> str:
    return f"[{', '.join(map(str, value))}]" if isinstance(value, list) else str(value)
