"""Do migrations go with a deploy on a real PostgreSQL: data stays, a failure stops the release, two runs never mix?"""

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
from scripts.projects import CHOICES, Project
from scripts.second_release import give_items_a_price
from tests.support.bake import Bake
from tests.support.deploy_tool import database_for, push_image

pytestmark = pytest.mark.skipif("alembic" not in CHOICES["migrations"], reason="cannot be chosen")
MIGRATION = """
from alembic import op

revision = "{revision}"
down_revision = "{down}"


def upgrade() -> None:
    {upgrade}


def downgrade() -> None:
    {downgrade}
"""


@dataclass
class Scene:
    """A project whose first release is live, and its database."""

    project: Project
    aws: EmbeddedAws
    database: str
    url: str = ""

    def release(self) -> Run:
        return run_deploy_sh(self.project, self.aws, "--image", push_image(self.project, self.aws))

    def migration(self, revision: str, down: str, upgrade: str, downgrade: str = "pass") -> Path:
        file = self.project.path / f"migrations/versions/{revision}.py"
        text = MIGRATION.format(revision=revision, down=down, upgrade=upgrade, downgrade=downgrade)
        file.write_text(text, encoding="utf-8")
        return file

    def migrate(self, *arguments: str) -> Run:
        return run_deploy_sh(self.project, self.aws, "migrate", *arguments)

    def items(self, new: dict[str, object] | None = None) -> list[dict[str, object]]:
        """All items, after creating one if given."""
        if new:
            headers = {"Content-Type": "application/json"}
            request = urllib.request.Request(f"{self.url}items", json.dumps(new).encode(), headers)
            with urllib.request.urlopen(request, timeout=30) as answer:
                assert answer.status == 201
        with urllib.request.urlopen(f"{self.url}items", timeout=30) as answer:
            found: list[dict[str, object]] = json.load(answer)["items"]
        return found

    def columns(self) -> set[str]:
        with psycopg.connect(self.database) as connection:
            query = "SELECT column_name FROM information_schema.columns WHERE table_name = 'items'"
            return {name for (name,) in connection.execute(query).fetchall()}

    def live(self) -> str:
        functions = self.aws.client("lambda")
        return str(functions.get_alias(FunctionName="my-api-prod", Name="live")["FunctionVersion"])


@pytest.fixture
def stage(bake: Bake, tmp_path: Path) -> Iterator[Scene]:
    project = bake(migrations="alembic").copy(tmp_path)
    with EmbeddedAws() as aws, database_for(project, aws) as database:
        stage = Scene(project, aws, database)
        first = stage.release()
        assert first.code == 0, first.out + first.err
        stage.url = first.url
        yield stage


def test_data_outlives_a_release_with_a_migration(stage: Scene) -> None:
    (screw,) = stage.items({"name": "screw", "quantity": 3})
    give_items_a_price(stage.project.path)
    second = stage.release()
    assert second.code == 0, second.err
    assert re.search(r"\[4/7\] Migrating database\.\.\.      0001 → 0002 \(", second.out)
    assert stage.items() == [screw | {"price": 7}]
    functions = stage.aws.client("lambda")
    names = ("my-api-prod:live", "my-api-prod-migrate")
    images = [functions.get_function(FunctionName=name)["Code"] for name in names]
    assert images[0] == images[1]

    assert stage.migrate("current").out == "0002 (head)\n"
    assert "0001 -> 0002" in stage.migrate("history").out
    assert stage.migrate("downgrade", "-1").out == "my-api-prod: 0002 → 0001\n"
    assert "price" not in stage.columns()
    assert stage.migrate("upgrade").out == "my-api-prod: 0001 → 0002\n"


def test_a_failing_migration_leaves_schema_and_live_version_as_they_were(stage: Scene) -> None:
    (screw,) = stage.items({"name": "screw"})
    before = stage.columns()
    broken = "op.execute('ALTER TABLE items ADD COLUMN price int'); op.execute('SELECT 1 / 0')"
    file = stage.migration("0002", "0001", broken)
    failed = stage.release()
    assert failed.code == 1
    assert re.search(r"\[4/7\] Migrating database\.\.\.      failed", failed.out)
    assert "Running upgrade 0001 -> 0002" in failed.err
    assert "(line 9 of 0002.py: op.execute" in failed.err
    assert "alembic upgrade failed: (psycopg.errors.DivisionByZero) division by zero" in failed.err
    assert stage.columns() == before
    assert stage.migrate("current").out == "0001\n"
    assert stage.live() == "1"
    assert stage.items() == [screw]

    file.unlink()
    stage.migration("0002", "0001", "op.execute('ALTER TABLE items ADD COLUMN price int')")
    mended = stage.release()
    assert mended.code == 0, mended.err
    assert stage.columns() == before | {"price"}


def test_of_two_at_once_one_waits(stage: Scene) -> None:
    told = "EXISTS (SELECT FROM pg_class WHERE relname = 'go_on')"
    wait = f"DO $$ BEGIN WHILE NOT {told} LOOP PERFORM pg_sleep(0.1); END LOOP; END $$"
    stage.migration("0002", "0001", f'op.execute("ALTER TABLE items ADD COLUMN price int; {wait}")')
    image = push_image(stage.project, stage.aws)

    with ThreadPoolExecutor() as pool, psycopg.connect(stage.database, autocommit=True) as connection:
        first = pool.submit(run_deploy_sh, stage.project, stage.aws, "--image", image)
        while not connection.execute("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'").fetchone():
            assert not first.done(), first.result()
        second = pool.submit(stage.migrate, "upgrade")
        while "Waiting until another migration is finished" not in messages(stage):
            assert not second.done(), second.result()
        connection.execute("CREATE TABLE go_on ()")
    assert first.result().code == 0, first.result().err
    assert re.search(r"Migrating database\.\.\.      0001 → 0002", first.result().out)
    assert second.result().out == "my-api-prod: at 0002, nothing to do\n"
    assert messages(stage).count("Waiting until another migration is finished") == 1
    assert messages(stage).count("Running upgrade 0001 -> 0002") == 1


def messages(stage: Scene) -> str:
    return "\n".join(stage.aws.log_messages("/aws/lambda/my-api-prod"))


def test_a_migration_that_takes_too_long_is_given_up(stage: Scene) -> None:
    """By the server, a little before Lambda would end it without a word."""
    file = stage.project.path / "deploy.toml"
    file.write_text(file.read_text("utf-8").replace("migration_timeout_s = 900", "migration_timeout_s = 30"), "utf-8")
    short = stage.project.path / "aws_lambda/migrate.py"
    short.write_text(short.read_text("utf-8").replace("RESERVED_S = 5.0", "RESERVED_S = 28.0"), encoding="utf-8")
    stage.migration("0002", "0001", "op.execute('ALTER TABLE items ADD COLUMN price int; SELECT pg_sleep(60)')")
    failed = stage.release()
    assert failed.code == 1
    assert "canceling statement due to statement timeout" in failed.err
    assert "price" not in stage.columns()
    assert stage.live() == "1"
