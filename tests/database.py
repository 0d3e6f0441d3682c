"""A real PostgreSQL behind the embedded AWS: the one that the generated project's own tests start."""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager

from tests.baking import FOLDER


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of an empty database on a server that is gone afterwards."""
    spec = importlib.util.spec_from_file_location("generated_postgres", FOLDER / "tests/postgres.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with module.postgres() as server, module.new_database(server) as url:
        yield url
