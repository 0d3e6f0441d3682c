"""Runs migrations in one transaction: on the connection that app/migrate.py hands over, or on one of their own."""

import logging
import os
from typing import Any

import psycopg
from alembic import context
from sqlalchemy import Connection, NullPool, create_engine

from app.models import Base


def nothing_is_no_migration(context: Any, revision: Any, directives: list[Any]) -> None:
    if getattr(context.config.cmd_opts, "autogenerate", False) and directives[0].upgrade_ops.is_empty():
        directives.clear()
        print("app/models.py says what the migrations make already: there is nothing to write.")


def migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        compare_server_default=True,
        process_revision_directives=nothing_is_no_migration,
    )
    with context.begin_transaction():
        context.run_migrations()


connection = context.config.attributes.get("connection")
if connection is not None:
    migrate(connection)
else:  # `alembic` on the command line, which needs none of the service's other settings
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    url = os.environ["DATABASE_URL"]
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url), poolclass=NullPool)
    with engine.connect() as connection:
        migrate(connection)
