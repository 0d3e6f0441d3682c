"""The migration function. It runs Alembic commands on the database, one at a time, each in one transaction.

Lambda runs it from the image of the service. The deploy tool invokes it before it releases a version. An env.py that
opens its own connection is protected by the lock too, but its transactions and timeouts are its own.
"""

import io
import logging
import os
import time
import traceback
from pathlib import Path
from typing import Any

import psycopg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, NullPool, create_engine, func, select, text

from aws_lambda import database
from aws_lambda.secrets import load_secrets

logger = logging.getLogger(__name__)

CONFIG = Path(__file__).resolve().parents[1] / "alembic.ini"
LOCK_ID = 5_283_411_406_218_553_709  # an arbitrary number for pg_try_advisory_lock
LOCK_POLL_S = 0.5
RESERVED_S = 5.0  # of the function's timeout, to roll back and to report an error
CONNECT_TIMEOUT_S = 5
TABLE_LOCK_TIMEOUT_S = 10  # while a migration waits for the lock of a table, all other queries on the table wait too
COMMANDS = ("upgrade", "downgrade", "stamp", "current", "history")
READ_ONLY_COMMANDS = ("current", "history")


class MigrationError(Exception):
    """A command failed. The message contains the reason and the line of the migration."""


def handler(event: dict[str, Any], context: Any) -> dict[str, str | None]:
    """Run the command in the event, such as `{"command": "upgrade", "revision": "head"}`.

    Return the revision of the database before ("from") and after ("to") the command, and the output of Alembic.
    """
    name = event.get("command", "upgrade")
    revision = event.get("revision") or "head"
    if name not in COMMANDS:
        raise MigrationError(f"Unknown command {name!r}. Choose one of {', '.join(COMMANDS)}")
    deadline = time.monotonic() + context.get_remaining_time_in_millis() / 1000 - RESERVED_S
    load_secrets()
    try:
        return run(name, revision, deadline)
    except MigrationError:
        raise
    except Exception as error:  # a traceback through Alembic and SQLAlchemy would hide the message
        raise MigrationError(f"{error}{location(error)}") from None


def run(name: str, revision: str, deadline: float) -> dict[str, str | None]:
    """Run an Alembic command and return its result, see handler()."""
    output = io.StringIO()
    config = Config(CONFIG, stdout=output)
    engine = create_engine("postgresql+psycopg://", creator=connect, poolclass=NullPool)
    with engine.connect() as connection:
        config.attributes["connection"] = connection  # env.py may use it, or open a connection of its own
        if name not in READ_ONLY_COMMANDS:
            acquire_lock(connection, deadline)
        before = current_revision(connection)
        match name:
            case "upgrade":
                command.upgrade(config, revision)
            case "downgrade":
                command.downgrade(config, revision)
            case "stamp":
                command.stamp(config, revision)
            case "current":
                command.current(config)
            case "history":
                command.history(config)
        after = current_revision(connection)
    logger.info("%s: %s -> %s", name, before, after)
    return {"from": before, "to": after, "output": output.getvalue()}


def connect() -> psycopg.Connection[Any]:
    """Connect to the database of DATABASE_URL."""
    url = os.environ.get("DATABASE_URL", "")
    name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "migrate")
    return database.connect(url, connect_timeout=CONNECT_TIMEOUT_S, application_name=name)


def location(error: Exception) -> str:
    """Return the line of the migration that raised the error, or "" if no migration did."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/versions/" in frame.filename]
    return f"\n(line {frames[-1].lineno} of {Path(frames[-1].filename).name}: {frames[-1].line})" if frames else ""


def acquire_lock(connection: Connection, deadline: float) -> None:
    """Wait for the lock, which is released with the connection. Raise MigrationError if the deadline passes.

    This polls without an open transaction, because CREATE INDEX CONCURRENTLY in another migration would wait for a
    transaction that waits for the lock.
    """
    waiting = False
    while not connection.scalar(select(func.pg_try_advisory_lock(LOCK_ID))):
        connection.rollback()
        if time.monotonic() > deadline:
            raise MigrationError("Another migration is running and did not finish in time")
        if not waiting:
            logger.info("Waiting until another migration is finished")
        waiting = True
        time.sleep(LOCK_POLL_S)
    # Stop a statement before Lambda's timeout, which would end the function without a rollback or an error.
    remaining_ms = max(1, int((deadline - time.monotonic()) * 1000))
    connection.execute(text(f"SET statement_timeout = {remaining_ms}"))
    connection.execute(text(f"SET lock_timeout = {TABLE_LOCK_TIMEOUT_S * 1000}"))
    connection.commit()


def current_revision(connection: Connection) -> str | None:
    """Return the revision of the database, or None before the first migration."""
    heads = MigrationContext.configure(connection).get_current_heads()
    connection.rollback()
    return ", ".join(heads) or None
