from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from aws_lambda import migrate
from tests.helpers import wait_until

ENV = """
from alembic import context

context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
"""
REVISION = """
from alembic import op

revision = "{revision}"
down_revision = {down!r}


def upgrade():
    {upgrade}


def downgrade():
    {downgrade}
"""


def run(name: str = "upgrade", revision: str | None = None, *, seconds: float = 60) -> dict[str, Any]:
    """Invoke the function with this number of seconds until its timeout."""
    event = {"command": name, "revision": revision}
    return migrate.handler(event, SimpleNamespace(get_remaining_time_in_millis=lambda: seconds * 1000))


def tables(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    return {name for (name,) in rows} - {"alembic_version"}


@pytest.fixture
def migrations(empty_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder for migrations that take the place of those of the service."""
    (tmp_path / "versions").mkdir()
    (tmp_path / "env.py").write_text(ENV, encoding="utf-8")
    (tmp_path / "alembic.ini").write_text("[alembic]\nscript_location = %(here)s\n", encoding="utf-8")
    monkeypatch.setattr(migrate, "CONFIG", tmp_path / "alembic.ini")
    return tmp_path / "versions"


def write(folder: Path, revision: str, down: str | None, upgrade: str, downgrade: str = "pass") -> None:
    text = REVISION.format(revision=revision, down=down, upgrade=upgrade, downgrade=downgrade)
    (folder / f"{revision}.py").write_text(text, encoding="utf-8")


def test_migrations_are_applied_and_reverted(empty_database: str, migrations: Path) -> None:
    write(migrations, "one", None, "op.execute('CREATE TABLE one ()')", "op.execute('DROP TABLE one')")
    write(migrations, "two", "one", "op.execute('CREATE TABLE two ()')", "op.execute('DROP TABLE two')")
    assert run() == {"from": None, "to": "two", "output": ""}
    assert tables(empty_database) == {"one", "two"}
    assert run() == {"from": "two", "to": "two", "output": ""}
    assert run("downgrade", "one") == {"from": "two", "to": "one", "output": ""}
    assert tables(empty_database) == {"one"}
    assert run("upgrade", "two")["to"] == "two"


def test_stamp_changes_only_the_revision(empty_database: str, migrations: Path) -> None:
    write(migrations, "one", None, "op.execute('CREATE TABLE one ()')")
    assert run("stamp", "head") == {"from": None, "to": "one", "output": ""}
    assert tables(empty_database) == set()


def test_current_and_history_return_the_output_of_alembic(migrations: Path) -> None:
    write(migrations, "one", None, "op.execute('CREATE TABLE one ()')")
    run()
    assert run("current") == {"from": "one", "to": "one", "output": "one (head)\n"}
    assert "<base> -> one (head)" in run("history")["output"]


OWN_CONNECTION = """
import asyncio
import os

from alembic import context
from sqlalchemy import create_engine


async def migrate():
    engine = create_engine(os.environ["DATABASE_URL"])
    with engine.connect() as connection:
        context.configure(connection=connection)
        with context.begin_transaction():
            context.run_migrations()


asyncio.run(migrate())
"""


def test_env_may_open_its_own_connection_in_an_event_loop(
    empty_database: str, migrations: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The env.py that `alembic init -t async` writes does that, and its URL contains the driver."""
    (migrations.parent / "env.py").write_text(OWN_CONNECTION, encoding="utf-8")
    monkeypatch.setenv("DATABASE_URL", empty_database.replace("postgresql://", "postgresql+psycopg://"))
    write(migrations, "one", None, "op.execute('CREATE TABLE one ()')")
    assert run() == {"from": None, "to": "one", "output": ""}
    assert run() == {"from": "one", "to": "one", "output": ""}
    assert tables(empty_database) == {"one"}


@pytest.mark.usefixtures("migrations")
@pytest.mark.parametrize(
    ("name", "revision", "error"),
    [
        ("upgrade", "unknown", "Can't locate revision"),
        ("drop", None, "Unknown command 'drop'. Choose one of upgrade, downgrade"),
    ],
)
def test_unknown_command_or_revision_is_rejected(name: str, revision: str | None, error: str) -> None:
    with pytest.raises(migrate.MigrationError, match=error):
        run(name, revision)


def test_failed_migration_changes_nothing(empty_database: str, migrations: Path) -> None:
    """A run is one transaction, which also includes the successful migrations before the failed one."""
    write(migrations, "one", None, "op.execute('CREATE TABLE one ()')")
    run()
    write(migrations, "two", "one", "op.execute('CREATE TABLE two ()')")
    write(migrations, "three", "two", "op.execute('CREATE TABLE three ()'); op.execute('SELECT 1 / 0')")
    with pytest.raises(migrate.MigrationError, match=r"division by zero\n(.*\n)*\(line 9 of three.py: op.execute"):
        run()
    assert tables(empty_database) == {"one"}
    assert run("current")["to"] == "one"
    write(migrations, "three", "two", "op.execute('CREATE TABLE three ()')")
    assert run() == {"from": "one", "to": "three", "output": ""}
    assert tables(empty_database) == {"one", "two", "three"}


@contextmanager
def paused(url: str) -> Iterator[Callable[[], None]]:
    """Let migrations wait at WAIT until the function that this yields is called."""
    with psycopg.connect(url, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(1)")
        yield lambda: other.execute("SELECT pg_advisory_unlock(1)").close()


WAIT = "op.execute('SELECT pg_advisory_xact_lock(1)')"


def test_concurrent_runs_wait_for_each_other(
    empty_database: str, migrations: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr(migrate, "LOCK_POLL_S", 0.01)
    write(migrations, "one", None, f"op.execute('CREATE TABLE one ()'); {WAIT}")
    with paused(empty_database) as resume, ThreadPoolExecutor() as pool:
        runs = [pool.submit(run) for _ in range(3)]
        wait_until(lambda: caplog.text.count("Waiting until another migration is finished") == 2)
        assert tables(empty_database) == set()
        resume()
        results = [run.result() for run in runs]
    assert sorted(results, key=lambda result: result["from"] or "") == [
        {"from": None, "to": "one", "output": ""},
        {"from": "one", "to": "one", "output": ""},
        {"from": "one", "to": "one", "output": ""},
    ]
    assert caplog.text.count("Running upgrade  -> one") == 1


def test_index_can_be_created_concurrently_while_another_run_waits(
    empty_database: str, migrations: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """CREATE INDEX CONCURRENTLY waits for all transactions. If one of them waited for it, there would be a deadlock."""
    caplog.set_level("INFO")
    write(
        migrations,
        "one",
        None,
        f"op.execute('CREATE TABLE one (id int)'); {WAIT}\n"
        "    with op.get_context().autocommit_block():\n"
        "        op.execute('CREATE INDEX CONCURRENTLY ON one (id)')",
    )
    with paused(empty_database) as resume, ThreadPoolExecutor() as pool:
        runs = [pool.submit(run) for _ in range(2)]
        wait_until(lambda: "Waiting until another migration is finished" in caplog.text)
        resume()
        assert {run.result()["to"] for run in runs} == {"one"}


def test_run_fails_if_the_lock_is_not_released_in_time(
    empty_database: str, migrations: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "LOCK_POLL_S", 0.01)
    write(migrations, "one", None, "op.execute('CREATE TABLE one ()')")
    with psycopg.connect(empty_database) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [migrate.LOCK_ID])
        with pytest.raises(migrate.MigrationError, match="Another migration is running"):
            run(seconds=migrate.RESERVED_S + 0.1)
    assert run()["to"] == "one"


def test_statement_is_cancelled_before_the_timeout_of_lambda(empty_database: str, migrations: Path) -> None:
    write(migrations, "one", None, "op.execute('CREATE TABLE one ()'); op.execute('SELECT pg_sleep(60)')")
    with pytest.raises(migrate.MigrationError, match="canceling statement due to statement timeout"):
        run(seconds=migrate.RESERVED_S + 0.5)
    assert tables(empty_database) == set()


def test_migration_does_not_block_the_service_if_a_table_is_in_use(
    empty_database: str, migrations: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a migration waits for the lock of a table, later queries on the table wait, too."""
    monkeypatch.setattr(migrate, "TABLE_LOCK_TIMEOUT_S", 0.1)
    write(migrations, "one", None, "op.execute('CREATE TABLE one ()')")
    run()
    write(migrations, "two", "one", "op.execute('ALTER TABLE one ADD COLUMN size int')")
    with psycopg.connect(empty_database) as reader:
        reader.execute("SELECT * FROM one")
        with pytest.raises(migrate.MigrationError, match="lock timeout"):
            run()
    assert run()["to"] == "two"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://me:s3cr3t@db/none", "DATABASE_URL must start with postgresql://"),
        (
            "postgresql://me:s3cr3t%zz@db/none",
            "DATABASE_URL is not a valid URL: percent-encode special characters in it",
        ),
    ],
)
def test_invalid_url_is_rejected_without_the_password(url: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    with pytest.raises(migrate.MigrationError, match=f"^{message}$"):
        run()
