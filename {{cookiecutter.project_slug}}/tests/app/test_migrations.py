import io
from types import SimpleNamespace
from typing import Any

import psycopg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from aws_lambda import migrate

HEAD = ScriptDirectory.from_config(Config(migrate.CONFIG)).get_current_head()


def run(name: str, revision: str) -> dict[str, Any]:
    """Run an Alembic command in the migration function."""
    event = {"command": name, "revision": revision}
    return migrate.handler(event, SimpleNamespace(get_remaining_time_in_millis=lambda: 60_000))


def tables(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    return {name for (name,) in rows} - {"alembic_version"}


def test_migrations_can_be_applied_and_reverted(empty_database: str) -> None:
    assert run("upgrade", "head") == {"from": None, "to": HEAD, "output": ""}
    assert "items" in tables(empty_database)
    assert run("downgrade", "base") == {"from": HEAD, "to": None, "output": ""}
    assert tables(empty_database) == set()
    assert run("upgrade", "head")["to"] == HEAD


def test_migrations_create_all_tables(empty_database: str) -> None:
    run("upgrade", "head")
    output = io.StringIO()
    command.check(Config(migrate.CONFIG, stdout=output))  # raises an exception if a migration is missing
    assert "No new upgrade operations detected." in output.getvalue()
