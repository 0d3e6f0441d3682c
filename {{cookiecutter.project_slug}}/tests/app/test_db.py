import psycopg
import pytest
from fastapi.testclient import TestClient
from pydantic import ValidationError
from sqlalchemy import event
from sqlalchemy.exc import TimeoutError

from app.db import connect, get_engine
from app.main import app
from app.settings import get_settings
from tests.helpers import create_client, run_python

client = TestClient(app)


def count_connections(database: str) -> int:
    """Return the number of other connections to the database."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    with psycopg.connect(database) as connection:
        ((count,),) = connection.execute(query).fetchall()
    return int(count)


def test_driver_is_imported_with_the_first_connection() -> None:
    code = "import sys, aws_lambda.handler; print({'alembic', 'psycopg'} & {*sys.modules})"
    assert run_python(code) == "set()\n"


def test_one_connection_serves_all_requests(database: str) -> None:
    for number in range(3):
        assert client.post("/items", json={"name": f"screw {number}"}).status_code == 201
    assert count_connections(database) == 1


def test_created_item_is_not_read_again(database: str) -> None:
    statements: list[str] = []
    event.listen(get_engine(), "before_cursor_execute", lambda *arguments: statements.append(arguments[2].split()[0]))
    assert client.post("/items", json={"name": "screw"}).status_code == 201
    assert statements == ["INSERT"]


def test_there_are_at_most_two_connections(database: str) -> None:
    get_engine().pool._timeout = 0.1  # type: ignore[attr-defined]
    with get_engine().connect(), get_engine().connect(), pytest.raises(TimeoutError):
        get_engine().connect()


def test_lost_connection_is_replaced(database: str) -> None:
    """The server was restarted, or a proxy closed the connection, while the environment was frozen."""
    item = client.post("/items", json={"name": "screw"}).json()
    with psycopg.connect(database, autocommit=True) as connection:
        others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        terminated = connection.execute(f"SELECT pg_terminate_backend(pid) {others}").fetchall()
    assert terminated == [(True,)]
    assert client.get(f"/items/{item['id']}").json() == item


@pytest.fixture
def without_settings(database: str) -> None:
    """Let the application read its settings and connect again."""
    get_engine().dispose()
    get_settings.cache_clear()


@pytest.mark.usefixtures("without_settings")
def test_error_does_not_contain_the_password(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    from aws_lambda.handler import handler

    monkeypatch.setenv("DATABASE_URL", "postgresql://me:s3cr3t@127.0.0.1:1/none")
    response = create_client(handler).get("/items")
    assert response.status_code == 500
    assert [record.levelname for record in caplog.records if record.exc_info] == ["ERROR"]
    assert "s3cr3t" not in response.text + caplog.text


@pytest.mark.usefixtures("without_settings")
def test_invalid_url_is_rejected_without_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:s3cr3t%zz@127.0.0.1/none")
    with pytest.raises(ValueError, match=r"^DATABASE_URL is not a valid URL: percent-encode special characters in it$"):
        connect()


@pytest.mark.usefixtures("without_settings")
def test_url_of_another_database_is_rejected_without_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "mysql://me:s3cr3t@db/none")
    with pytest.raises(ValidationError, match=r"database_url\n.*must start with postgresql://") as error:
        get_settings()
    assert "s3cr3t" not in str(error.value)
