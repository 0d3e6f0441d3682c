"""Test migrations during a deploy on a real PostgreSQL.

Data is kept, a failed migration stops the release, and two migrations never run at the same time.
"""

import json
import re
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from embedded_aws import EmbeddedAws
from scripts.deploy_tool import Run, run_deploy_sh
from scripts.projects import Project
from scripts.second_release import give_items_a_price
from tests.support.bake import Bake
from tests.support.deploy_tool import database_for, push_image
from tests.support.deployed_stage import NAME

MIGRATION = """
from alembic import op

revision = "{revision}"
down_revision = "{down_revision}"


def upgrade() -> None:
    {upgrade}


def downgrade() -> None:
    pass
"""
WAITING = "Waiting until another migration is finished"
ADD_PRICE = "ALTER TABLE items ADD COLUMN price int"


@dataclass
class ServiceWithDatabase:
    """A service that is live, and the URL of its database. ./deploy.sh runs in a process of its own."""

    project: Project
    aws: EmbeddedAws
    database: str
    url: str = ""

    def release(self) -> Run:
        return run_deploy_sh(self.project, self.aws, "--image", push_image(self.project, self.aws))

    def migrate(self, *arguments: str) -> Run:
        return run_deploy_sh(self.project, self.aws, "migrate", *arguments)

    def add_migration(self, upgrade: str) -> Path:
        """Write the migration from revision 0001 to 0002, and return its file."""
        file = self.project.path / "migrations/versions/0002.py"
        text = MIGRATION.format(revision="0002", down_revision="0001", upgrade=upgrade)
        file.write_text(text, encoding="utf-8")
        return file

    def create_item(self, **values: object) -> dict[str, object]:
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}items", json.dumps(values).encode(), headers)
        with urllib.request.urlopen(request, timeout=30) as response:
            assert response.status == 201
        (item,) = self.items()
        return item

    def items(self) -> list[dict[str, object]]:
        with urllib.request.urlopen(f"{self.url}items", timeout=30) as response:
            items: list[dict[str, object]] = json.load(response)["items"]
        return items

    def columns(self) -> set[str]:
        """Return the names of the columns of the table items."""
        with psycopg.connect(self.database) as connection:
            query = "SELECT column_name FROM information_schema.columns WHERE table_name = 'items'"
            return {name for (name,) in connection.execute(query).fetchall()}

    def live_version(self) -> str:
        return str(self.aws.client("lambda").get_alias(FunctionName=NAME, Name="live")["FunctionVersion"])

    def logs(self) -> str:
        return "\n".join(self.aws.log_messages(f"/aws/lambda/{NAME}"))


@pytest.fixture
def service(bake: Bake, tmp_path: Path) -> Iterator[ServiceWithDatabase]:
    project = bake(migrations="alembic").copy(tmp_path)
    with EmbeddedAws() as aws, database_for(project, aws) as database:
        service = ServiceWithDatabase(project, aws, database)
        first = service.release()
        assert first.code == 0, first.out + first.err
        service.url = first.url
        yield service


def test_data_is_kept_by_a_release_with_a_migration(service: ServiceWithDatabase) -> None:
    screw = service.create_item(name="screw", quantity=3)
    give_items_a_price(service.project.path)
    second = service.release()
    assert second.code == 0, second.err
    assert re.search(r"\[4/7\] Migrating database\.\.\.      0001 → 0002 \(", second.out)
    assert service.items() == [screw | {"price": 7}]
    functions = service.aws.client("lambda")
    live = functions.get_function(FunctionName=NAME, Qualifier="live")
    migrate = functions.get_function(FunctionName=f"{NAME}-migrate")
    assert live["Code"] == migrate["Code"]

    assert service.migrate("current").out == "0002 (head)\n"
    assert "0001 -> 0002" in service.migrate("history").out
    assert service.migrate("downgrade", "-1").out == f"{NAME}: 0002 → 0001\n"
    assert "price" not in service.columns()
    assert service.migrate("upgrade").out == f"{NAME}: 0001 → 0002\n"


def test_a_failed_migration_changes_neither_the_tables_nor_the_live_version(service: ServiceWithDatabase) -> None:
    screw = service.create_item(name="screw")
    before = service.columns()
    file = service.add_migration(f"op.execute('{ADD_PRICE}'); op.execute('SELECT 1 / 0')")
    refused = service.release()
    assert refused.code == 1
    assert re.search(r"\[4/7\] Migrating database\.\.\.      failed", refused.out)
    assert "Running upgrade 0001 -> 0002" in refused.err
    assert "(line 9 of 0002.py: op.execute" in refused.err
    assert "alembic upgrade failed: (psycopg.errors.DivisionByZero) division by zero" in refused.err
    assert service.columns() == before
    assert service.migrate("current").out == "0001\n"
    assert service.live_version() == "1"
    assert service.items() == [screw]

    file.unlink()
    service.add_migration(f"op.execute('{ADD_PRICE}')")
    fixed = service.release()
    assert fixed.code == 0, fixed.err
    assert service.columns() == before | {"price"}


def test_a_migration_waits_until_another_one_is_finished(service: ServiceWithDatabase) -> None:
    may_finish = "EXISTS (SELECT FROM pg_class WHERE relname = 'may_finish')"
    wait = f"DO $$ BEGIN WHILE NOT {may_finish} LOOP PERFORM pg_sleep(0.1); END LOOP; END $$"
    service.add_migration(f'op.execute("{ADD_PRICE}; {wait}")')
    image = push_image(service.project, service.aws)

    with ThreadPoolExecutor() as pool, psycopg.connect(service.database, autocommit=True) as connection:
        first = pool.submit(run_deploy_sh, service.project, service.aws, "--image", image)
        while not connection.execute("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'").fetchone():
            assert not first.done(), first.result()
        second = pool.submit(service.migrate, "upgrade")
        while WAITING not in service.logs():
            assert not second.done(), second.result()
        connection.execute("CREATE TABLE may_finish ()")
    assert first.result().code == 0, first.result().err
    assert re.search(r"Migrating database\.\.\.      0001 → 0002", first.result().out)
    assert second.result().out == f"{NAME}: at 0002, nothing to do\n"
    logs = service.logs()
    assert logs.count(WAITING) == 1
    assert logs.count("Running upgrade 0001 -> 0002") == 1


def test_a_migration_that_takes_too_long_is_canceled_with_an_error(service: ServiceWithDatabase) -> None:
    """PostgreSQL cancels it shortly before Lambda would end the function without an error message."""
    service.project.edit("deploy.toml", "migration_timeout_s = 900", "migration_timeout_s = 30")
    # Leave only 2 s of the 30 s for the migration.
    service.project.edit("aws_lambda/migrate.py", "RESERVED_S = 5.0", "RESERVED_S = 28.0")
    service.add_migration(f"op.execute('{ADD_PRICE}; SELECT pg_sleep(60)')")
    refused = service.release()
    assert refused.code == 1
    assert "canceling statement due to statement timeout" in refused.err
    assert "price" not in service.columns()
    assert service.live_version() == "1"
