"""The migration function: runs an Alembic command on the database; one at a time, and all of it or nothing.

Lambda runs it from the same image as the service, the deploy tool calls it before it releases a version.
"""

import io
import logging
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, NullPool, create_engine, func, select, text

from app.db import connect

log = logging.getLogger(__name__)

CONFIG = Path(__file__).resolve().parents[1] / "alembic.ini"
LOCK = 5_283_411_406_218_553_709  # any number, as long as nothing else takes it as an advisory lock in this database
ASK_AGAIN_S = 0.5
SPARE_S = 5.0  # kept back of the function's time-out, to roll back and to say why
TABLE_LOCK_TIMEOUT_S = 10  # whoever waits for a table's lock lets everyone else wait behind it

CHANGES: dict[str, Callable[[Config, str], None]] = {
    "upgrade": command.upgrade,
    "downgrade": command.downgrade,
    "stamp": command.stamp,
}
LOOKS: dict[str, Callable[[Config], None]] = {
    "current": command.current,
    "history": command.history,
}


class MigrationError(Exception):
    """What went wrong, and in which line of which migration."""


def handler(event: dict[str, Any], context: Any) -> dict[str, str | None]:
    """`{"command": "upgrade", "revision": "head"}` → the revisions before and after, and what Alembic printed."""
    name, revision = event.get("command", "upgrade"), event.get("revision") or "head"
    if name not in CHANGES and name not in LOOKS:
        raise MigrationError(f"{name!r} is none of {', '.join([*CHANGES, *LOOKS])}")
    deadline = time.monotonic() + context.get_remaining_time_in_millis() / 1000 - SPARE_S
    try:
        return run(name, revision, deadline)
    except MigrationError:
        raise
    except Exception as error:  # the traceback through Alembic and SQLAlchemy would fill all of the log that is shown
        raise MigrationError(f"{error}{place(error)}") from None


def run(name: str, revision: str, deadline: float) -> dict[str, str | None]:
    output = io.StringIO()
    config = Config(CONFIG, stdout=output)
    engine = create_engine("postgresql+psycopg://", creator=connect, poolclass=NullPool)
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        if name in CHANGES:
            wait_for_turn(connection, deadline)
        before = current(connection)
        if name in CHANGES:
            CHANGES[name](config, revision)
        else:
            LOOKS[name](config)
        after = current(connection)
    log.info("%s: %s -> %s", name, before, after)
    return {"from": before, "to": after, "output": output.getvalue()}


def place(error: Exception) -> str:
    """Where in the migrations it came from, if it did."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/versions/" in frame.filename]
    return f"\n(line {frames[-1].lineno} of {Path(frames[-1].filename).name}: {frames[-1].line})" if frames else ""


def wait_for_turn(connection: Connection, deadline: float) -> None:
    """Takes the lock that ends with the connection; raises MigrationError when another migration outlasts us.

    It asks again and again, without a transaction in between: CREATE INDEX CONCURRENTLY in the other migration would
    wait for a transaction that waits for the lock.
    """
    waiting = False
    while not connection.scalar(select(func.pg_try_advisory_lock(LOCK))):
        connection.rollback()
        if time.monotonic() > deadline:
            raise MigrationError("another migration is running, and did not finish in time")
        if not waiting:
            log.info("another migration is running: waiting for it")
        waiting = True
        time.sleep(ASK_AGAIN_S)
    left_ms = max(1, int((deadline - time.monotonic()) * 1000))
    connection.execute(text(f"SET statement_timeout = {left_ms}"))  # Lambda would end us without a rollback or a word
    connection.execute(text(f"SET lock_timeout = {TABLE_LOCK_TIMEOUT_S * 1000}"))
    connection.commit()


def current(connection: Connection) -> str | None:
    """The revision that the database is at; None before the first migration."""
    heads = MigrationContext.configure(connection).get_current_heads()
    connection.rollback()
    return ", ".join(heads) or None
