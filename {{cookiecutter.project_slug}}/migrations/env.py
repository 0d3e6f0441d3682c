"""Run the migrations in one transaction. Alembic executes this file for each of its commands.

`autocommit_block()`, for example for CREATE INDEX CONCURRENTLY, commits what ran before it. The live version uses the
new schema until the new version replaces it, and again after a rollback, which does not undo a migration.
"""

import logging
import os
from typing import Any

from alembic import context
from sqlalchemy import Connection, NullPool, create_engine

from app.tables import Base
from aws_lambda.database import connect


def skip_empty_migration(context: Any, revision: Any, directives: list[Any]) -> None:
    """Write no file if `make migration` finds no difference between the tables and the migrations."""
    if getattr(context.config.cmd_opts, "autogenerate", False) and directives[0].upgrade_ops.is_empty():
        directives.clear()
        print("The migrations already create the tables in app/tables.py. No migration was written.")


def migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        compare_server_default=True,
        process_revision_directives=skip_empty_migration,
    )
    with context.begin_transaction():
        context.run_migrations()


connection = context.config.attributes.get("connection")
if connection is not None:  # set by aws_lambda/migrate.py
    migrate(connection)
else:  # alembic was started from the command line
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    url = os.environ["DATABASE_URL"]
    engine = create_engine("postgresql+psycopg://", creator=lambda: connect(url), poolclass=NullPool)
    with engine.connect() as connection:
        migrate(connection)
