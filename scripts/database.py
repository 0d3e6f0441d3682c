"""A real PostgreSQL behind the embedded AWS: the one that the generated project's own tests start."""

import atexit
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any
from unittest.mock import patch

from scripts.projects import PROJECT_TEMPLATE


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of an empty database on a server that is gone afterwards."""
    with generated().postgres() as server, generated().new_database(server) as url:
        yield url


@contextmanager
def new_database() -> Iterator[str]:
    """The URL of an empty database, which is gone afterwards, on a server that this process has for all its tests."""
    with generated().new_database(_server()) as url:
        yield url


@cache
def generated() -> Any:
    """The module tests.postgres of the generated project."""
    spec = importlib.util.spec_from_file_location("generated_postgres", PROJECT_TEMPLATE / "tests/postgres.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    with patch.object(sys, "dont_write_bytecode", True):  # what lies in the template's folder is baked
        spec.loader.exec_module(module)
    return module


@cache
def _server() -> str:
    until_the_end = ExitStack()
    atexit.register(until_the_end.close)
    return str(until_the_end.enter_context(generated().postgres()))
