"""Migrations on a real PostgreSQL: they lead to the models, one run at a time, and all of a run or nothing."""

import io
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from app import migrate

NEWEST = ScriptDirectory.from_config(Config(migrate.CONFIG)).get_current_head()
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
    """What the function answers when so many seconds of its time-out are left."""
    event = {"command": name, "revision": revision}
    return migrate.handler(event, SimpleNamespace(get_remaining_time_in_millis=lambda: seconds * 1000))


def tables(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    return {name for (name,) in found} - {"alembic_version"}


@pytest.fixture
def migrations(empty_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a test puts migrations in place of the service's own."""
    (tmp_path / "versions").mkdir()
    env = migrate.CONFIG.parent / "migrations/env.py"
    (tmp_path / "env.py").write_bytes(env.read_bytes())
    (tmp_path / "alembic.ini").write_text("[alembic]\nscript_location = %(here)s\n", encoding="utf-8")
    monkeypatch.setattr(migrate, "CONFIG", tmp_path / "alembic.ini")
    return tmp_path / "versions"


def write(folder: Path, revision: str, down: str | None, upgrade: str, downgrade: str = "pass") -> None:
    text = REVISION.format(revision=revision, down=down, upgrade=upgrade, downgrade=downgrade)
    (folder / f"{revision}.py").write_text(text, encoding="utf-8")


def test_up_to_the_newest_and_down_again(empty_database: str) -> None:
    assert run() == {"from": None, "to": NEWEST, "output": ""}
    assert "items" in tables(empty_database)
    assert run() == {"from": NEWEST, "to": NEWEST, "output": ""}
    assert run("downgrade", "base") == {"from": NEWEST, "to": None, "output": ""}
    assert tables(empty_database) == set()
    assert run()["to"] == NEWEST


def test_models_and_migrations_agree(database: str) -> None:
    output = io.StringIO()
    command.check(Config(migrate.CONFIG, stdout=output))  # raises when a migration is missing
    assert "No new upgrade operations detected." in output.getvalue()


def test_stamp_changes_the_revision_only(empty_database: str) -> None:
    assert run("stamp", "head") == {"from": None, "to": NEWEST, "output": ""}
    assert tables(empty_database) == set()


def test_current_and_history_tell_and_change_nothing(database: str) -> None:
    told = run("current")
    assert (told["from"], told["to"]) == (NEWEST, NEWEST)
    assert f"{NEWEST} (head)" in told["output"]
    assert "-> 0001" in run("history")["output"]


@pytest.mark.parametrize(
    ("name", "revision", "error"),
    [("upgrade", "nonesuch", "Can't locate revision"), ("drop", None, "'drop' is none of upgrade, downgrade")],
)
def test_what_there_is_not_is_an_error(database: str, name: str, revision: str | None, error: str) -> None:
    with pytest.raises(migrate.MigrationError, match=error):
        run(name, revision)


def test_a_failing_migration_leaves_everything_as_it_was(empty_database: str, migrations: Path) -> None:
    """The one before it in the same run too: a run is one transaction."""
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
def held_up(url: str) -> Iterator[Callable[[], None]]:
    """A migration stops where it says WAIT, until what is given is called."""
    with psycopg.connect(url, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(1)")
        yield lambda: other.execute("SELECT pg_advisory_unlock(1)").close()


WAIT = "op.execute('SELECT pg_advisory_xact_lock(1)')"


def until(waited: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not waited():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_of_two_at_once_one_waits(
    empty_database: str, migrations: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr(migrate, "ASK_AGAIN_S", 0.01)
    write(migrations, "one", None, f"op.execute('CREATE TABLE one ()'); {WAIT}")
    with held_up(empty_database) as go_on, ThreadPoolExecutor() as pool:
        runs = [pool.submit(run) for _ in range(3)]
        until(lambda: caplog.text.count("another migration is running: waiting for it") == 2)
        assert tables(empty_database) == set()
        go_on()
        answers = [run.result() for run in runs]
    assert sorted(answers, key=lambda answer: answer["from"] or "") == [
        {"from": None, "to": "one", "output": ""},
        {"from": "one", "to": "one", "output": ""},
        {"from": "one", "to": "one", "output": ""},
    ]
    assert caplog.text.count("Running upgrade  -> one") == 1


def test_an_index_can_be_made_concurrently_while_another_run_waits(
    empty_database: str, migrations: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It waits for every transaction there is, so one that waits for it would be a deadlock."""
    caplog.set_level("INFO")
    write(
        migrations,
        "one",
        None,
        f"op.execute('CREATE TABLE one (id int)'); {WAIT}\n"
        "    with op.get_context().autocommit_block():\n"
        "        op.execute('CREATE INDEX CONCURRENTLY ON one (id)')",
    )
    with held_up(empty_database) as go_on, ThreadPoolExecutor() as pool:
        runs = [pool.submit(run) for _ in range(2)]
        until(lambda: "another migration is running: waiting for it" in caplog.text)
        go_on()
        assert {run.result()["to"] for run in runs} == {"one"}


def test_who_cannot_get_a_turn_says_so(empty_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrate, "ASK_AGAIN_S", 0.01)
    with psycopg.connect(empty_database) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [migrate.LOCK])
        with pytest.raises(migrate.MigrationError, match="another migration is running"):
            run(seconds=migrate.SPARE_S + 0.1)
    assert run()["to"] == NEWEST


def test_the_server_gives_up_before_lambda_does(empty_database: str, migrations: Path) -> None:
    write(migrations, "one", None, "op.execute('CREATE TABLE one ()'); op.execute('SELECT pg_sleep(60)')")
    with pytest.raises(migrate.MigrationError, match="canceling statement due to statement timeout"):
        run(seconds=migrate.SPARE_S + 0.5)
    assert tables(empty_database) == set()


def test_a_table_in_use_does_not_hold_up_the_service(
    empty_database: str, migrations: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock that is waited for lets all later readers wait too."""
    monkeypatch.setattr(migrate, "TABLE_LOCK_TIMEOUT_S", 0.1)
    write(migrations, "one", None, "op.execute('CREATE TABLE one ()')")
    run()
    write(migrations, "two", "one", "op.execute('ALTER TABLE one ADD COLUMN size int')")
    with psycopg.connect(empty_database) as reader:
        reader.execute("SELECT * FROM one")
        with pytest.raises(migrate.MigrationError, match="lock timeout"):
            run()
    assert run()["to"] == "two"
