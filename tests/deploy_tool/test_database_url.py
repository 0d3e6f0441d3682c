"""A DATABASE_URL that the driver would reject, with the password in its message, is not stored."""

from urllib.parse import quote

import pytest

from tests.support.deployed_stage import DeployedStage

pytestmark = pytest.mark.answers(migrations="alembic")
SPECIAL = [*"%@/:?#[] ", "\\"]


@pytest.mark.parametrize("character", SPECIAL)
def test_special_characters_in_a_password_must_be_percent_encoded(stage: DeployedStage, character: str) -> None:
    password = f"first{character}second"
    run = stage.deploy("secret", "set", "DATABASE_URL", typed=f"postgresql://me:{password}@host/db")
    if character != "\\":  # libpq accepts it
        assert run.code == 2
        assert run.err.startswith("DATABASE_URL is not valid: ")
        assert run.err.count("\n") == 2
    for part in ("first", "second"):
        assert part not in run.out + run.err
    encoded = f"postgresql://me:{quote(password, safe='')}@host/db"
    assert stage.deploy("secret", "set", "DATABASE_URL", typed=encoded).code == 0


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://host/db",
        "postgres://me@host:5432/db?sslmode=require&application_name=a@b",
        "postgresql://me:p%40ss@[::1]:5432/db",
        "postgresql://me:secret@first:5432,second:5433/db?target_session_attrs=read-write",
        "postgresql:///db?host=/var/run/postgresql",
        "postgresql+asyncpg://me:secret@host/db",
    ],
)
def test_urls_that_libpq_accepts_are_stored(stage: DeployedStage, url: str) -> None:
    assert stage.deploy("secret", "set", "DATABASE_URL", typed=url).code == 0


@pytest.mark.parametrize(
    "url", ["mysql://host/db", "host/db", "postgresql://me:pa/ss@host/db", "postgresql://me:12/34@host/db"]
)
def test_other_urls_are_refused(stage: DeployedStage, url: str) -> None:
    assert stage.deploy("secret", "set", "DATABASE_URL", typed=url).code == 2


def test_other_secrets_may_have_any_value(stage: DeployedStage) -> None:
    assert stage.deploy("secret", "set", "API_KEY", typed="100 %").code == 0
