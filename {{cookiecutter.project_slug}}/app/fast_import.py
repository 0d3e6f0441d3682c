"""FastAPI is imported in two thirds of the time; `FAST_IMPORT = "false"` in deploy.toml does without.

Both shortcuts rely on what FastAPI does today: tests/app/test_fast_import.py proves that only the time differs.
"""

import os
import sys

ENABLED = os.environ.get("FAST_IMPORT") != "false"


def import_fastapi() -> None:
    """To be called before anything else imports FastAPI."""
    if not ENABLED:
        return
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
