"""Start PostgreSQL for services on the embedded AWS, with the module tests/postgres.py of the generated project."""

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
    """Yield the URL of an empty database on a server that is stopped and deleted afterwards."""
    with _postgres_module().postgres() as server, _postgres_module().new_database(server) as url:
        yield url


@contextmanager
def new_database() -> Iterator[str]:
    """Yield the URL of an empty database that is deleted afterwards. Its server runs until this process ends."""
    with _postgres_module().new_database(_server()) as url:
        yield url


@cache
def _postgres_module() -> Any:
    spec = importlib.util.spec_from_file_location("generated_postgres", PROJECT_TEMPLATE / "tests/postgres.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    with patch.object(sys, "dont_write_bytecode", True):  # cookiecutter would copy __pycache__
        spec.loader.exec_module(module)
    return module


@cache
def _server() -> str:
    stack = ExitStack()
    atexit.register(stack.close)
    return str(stack.enter_context(_postgres_module().postgres()))
