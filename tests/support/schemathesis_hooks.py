"""A hook of schemathesis, which writes some integers as 7.0: JSON Schema takes that for one, and pydantic does not."""

from typing import Any

import schemathesis


@schemathesis.hook
def map_body(context: Any, body: Any) -> Any:
    return whole(body)


def whole(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: whole(member) for name, member in value.items()}
    return int(value) if isinstance(value, float) and value.is_integer() else value
