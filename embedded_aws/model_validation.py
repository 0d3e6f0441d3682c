"""Do these parameters satisfy the constraints that AWS's own service model states?"""

import re
from functools import cache
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape

from embedded_aws.errors import AwsError


def check(params: dict[str, Any], shape: Shape | None) -> None:
    """Raises ValidationException with every violation in the words of AWS's framework."""
    problems = list(_problems(params, shape, "")) if shape is not None else []
    if problems:
        count = f"{len(problems)} validation error{'s' if len(problems) > 1 else ''} detected"
        raise AwsError("ValidationException", f"{count}: {'; '.join(problems)}")


def _problems(value: Any, shape: Shape, path: str) -> Any:
    if isinstance(shape, StructureShape):
        for name, member in shape.members.items():
            inner = f"{path}.{_lower(name)}" if path else _lower(name)
            if value.get(name) is not None:
                yield from _problems(value[name], member, inner)
            elif name in shape.required_members:
                yield f"Value null at '{inner}' failed to satisfy constraint: Member must not be null"
        return
    for broken in _broken_constraints(value, shape):
        yield f"Value '{_shown(value)}' at '{path}' failed to satisfy constraint: {broken}"
    if isinstance(shape, ListShape):
        for index, item in enumerate(value):
            yield from _problems(item, shape.member, f"{path}.{index + 1}.member")
    elif isinstance(shape, MapShape):
        for key, item in value.items():
            yield from _problems(key, shape.key, f"{path}.{key}.key")
            yield from _problems(item, shape.value, f"{path}.{key}.member")


def _broken_constraints(value: Any, shape: Shape) -> Any:
    rules = shape.metadata
    if shape.type_name in ("integer", "long", "float", "double"):
        size, what = value, "value"
    elif shape.type_name in ("string", "list", "map", "blob"):
        size, what = len(value), "length"
    else:
        return
    if "min" in rules and size < rules["min"]:
        yield f"Member must have {what} greater than or equal to {rules['min']}"
    if "max" in rules and size > rules["max"]:
        yield f"Member must have {what} less than or equal to {rules['max']}"
    if "enum" in rules and value not in rules["enum"]:
        yield f"Member must satisfy enum value set: [{', '.join(rules['enum'])}]"
    if "pattern" in rules and shape.type_name == "string":
        pattern = _compiled(rules["pattern"])
        if pattern and not pattern.fullmatch(value):
            yield f"Member must satisfy regular expression pattern: {rules['pattern']}"


@cache
def _compiled(pattern: str) -> re.Pattern[str] | None:
    try:
        return re.compile(pattern)
    except re.error:  # the models are written for Java's dialect
        return None


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:]


def _shown(value: Any) -> str:
    return f"[{', '.join(map(str, value))}]" if isinstance(value, list) else str(value)
