"""A schemathesis hook that turns floats such as 7.0 into integers.

JSON Schema accepts 7.0 as an integer, and schemathesis sends it. Pydantic in strict mode does not accept it.
"""

from typing import Any

import schemathesis


@schemathesis.hook
def map_body(context: Any, body: Any) -> Any:
    """Replace integral floats in the body. Schemathesis calls this function for each generated body."""
    return replace_integral_floats(body)


def replace_integral_floats(value: Any) -> Any:
    """Return the value with integral floats replaced by integers, also in the members of objects."""
    if isinstance(value, dict):
        return {name: replace_integral_floats(member) for name, member in value.items()}
    return int(value) if isinstance(value, float) and value.is_integer() else value
