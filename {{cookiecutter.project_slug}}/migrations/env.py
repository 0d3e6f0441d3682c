"""Runs migrations in one transaction: on the connection that app/migrate.py hands over, or on one of their own."""

import logging

from alembic import context
from sqlalchemy import Connection

from app.db import get_engine
from app.models import Base


def migrate(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=Base.metadata, compare_server_default=True)
    with context.begin_transaction():
        context.run_migrations()


connection = context.config.attributes.get("connection")
if connection is not None:
    migrate(connection)
else:  # `alembic` on the command line
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with get_engine().connect() as connection:
        migrate(connection)
