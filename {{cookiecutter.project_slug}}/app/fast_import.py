"""Two shortcuts by which INIT takes five sixths of the time; `FAST_IMPORT = "false"` in deploy.toml does without them.

They rely on what FastAPI does today: tests/app/test_fast_import.py proves that only the time differs.
"""

import os
import sys

ENABLED = os.environ.get("FAST_IMPORT", "").lower() not in ("false", "0", "no", "off")


def import_libraries() -> None:
    """To be called before anything else imports FastAPI."""
    if ENABLED:
        import_fastapi_by_shortcuts()
    import fastapi  # noqa: F401
{% if cookiecutter.migrations == 'alembic' %}
    import sqlalchemy  # noqa: F401
{% endif %}


# CPython keeps frames in chunks of 16 KB and unmaps each as soon as it is empty, hundreds of times in imports so deep.
# With a frame that says it needs more, all that is called from it has room in one chunk.
import_libraries.__code__ = import_libraries.__code__.replace(co_stacksize=8_000)


def import_fastapi_by_shortcuts() -> None:
    from pydantic import BaseModel

    BaseModel.model_config["defer_build"] = True  # its models of an OpenAPI document are built when one is asked for
    try:
        import fastapi  # noqa: F401
    finally:
        del BaseModel.model_config["defer_build"]
    shared = sys.modules.get("fastapi._compat.shared")
    if is_v1_model := getattr(shared, "is_pydantic_v1_model_class", None):
        # It imports pydantic.v1 to look for its models; where nothing else has imported that, there are none.
        setattr(shared, is_v1_model.__name__, lambda cls: "pydantic.v1" in sys.modules and is_v1_model(cls))
