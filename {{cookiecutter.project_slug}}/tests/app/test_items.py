"""Items, kept in a real PostgreSQL."""

from collections.abc import Callable
from typing import Any

import httpx
import psycopg
import pytest

pytestmark = pytest.mark.usefixtures("database")


def create(client: httpx.Client, name: str = "screw", **more: object) -> dict[str, Any]:
    response = client.post("/items", json={"name": name, **more})
    assert response.status_code == 201, response.text
    item: dict[str, Any] = response.json()
    return item


def test_what_was_created_is_read_back(client: httpx.Client) -> None:
    item = create(client, "Schräubchen 🔩", quantity=3)
    assert (item["name"], item["quantity"]) == ("Schräubchen 🔩", 3)
    assert client.get(f"/items/{item['id']}").json() == item


def test_replace(client: httpx.Client) -> None:
    item = create(client, quantity=3)
    replaced = client.put(f"/items/{item['id']}", json={"name": "nail"})
    assert replaced.status_code == 200
    assert replaced.json() == item | {"name": "nail", "quantity": 0}
    assert client.get(f"/items/{item['id']}").json() == replaced.json()


def test_delete(client: httpx.Client) -> None:
    path = f"/items/{create(client)['id']}"
    deleted = client.delete(path)
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert client.get(path).status_code == 404
    assert client.delete(path).status_code == 404


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_an_unknown_item_is_404(client: httpx.Client, method: str) -> None:
    response = client.request(method, "/items/7", json={"name": "nail"} if method == "PUT" else None)
    assert (response.status_code, response.json()) == (404, {"detail": "There is no item 7"})


def test_a_name_that_is_taken_is_409(client: httpx.Client) -> None:
    create(client, "screw")
    nail = create(client, "nail")
    taken = {"detail": "There is an item named 'screw' already"}
    again = client.post("/items", json={"name": " screw "})
    assert (again.status_code, again.json()) == (409, taken)
    renamed = client.put(f"/items/{nail['id']}", json={"name": "screw"})
    assert (renamed.status_code, renamed.json()) == (409, taken)
    assert client.put(f"/items/{nail['id']}", json={"name": "nail", "quantity": 1}).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b"not json",
        b'{"name": ""}',
        b'{"name": "   "}',
        b'{"name": "' + b"x" * 101 + b'"}',
        b'{"name": "a\\u0000b"}',
        b'{"name": "nail", "quantity": -1}',
        b'{"name": "nail", "quantity": 2147483648}',
        b'{"name": "nail", "quantity": 1.5}',
        b'{"name": "nail", "quantity": "1"}',
        b'{"name": "nail", "quantity": NaN}',
        b'{"name": "\\ud800"}',
    ],
)
def test_an_invalid_body_is_422(client: httpx.Client, body: bytes) -> None:
    for method, path in (("POST", "/items"), ("PUT", "/items/1")):
        response = client.request(method, path, content=body, headers={"content-type": "application/json"})
        assert response.status_code == 422, response.text
    assert client.get("/items").json()["items"] == []


@pytest.mark.parametrize(
    "path",
    ["/items/screw", "/items/0", f"/items/{2**63}", "/items?limit=0", "/items?limit=101", f"/items?after={2**63}"],
)
def test_an_invalid_path_or_query_is_422(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 422


def test_pages_hold_every_item_once(client: httpx.Client) -> None:
    names = [f"item {n}" for n in range(7)]
    ids = [create(client, name)["id"] for name in names]
    seen: list[str] = []
    sizes = []
    after: int | None = 0
    while after is not None:
        page = client.get("/items", params={"limit": 3, "after": after}).json()
        seen += [item["name"] for item in page["items"]]
        sizes.append(len(page["items"]))
        after = page["next"]
        if len(sizes) == 1:  # what is deleted and added meanwhile moves no other item to another page
            client.delete(f"/items/{ids[0]}")
            create(client, "item 7")
    assert seen == [*names, "item 7"]
    assert sizes == [3, 3, 2]


def test_a_full_last_page_is_the_last(client: httpx.Client) -> None:
    create(client)
    assert client.get("/items?limit=1").json()["next"] is None


def test_the_service_survives_a_lost_connection(client: httpx.Client, database: str) -> None:
    """As when the server restarts, or a proxy hangs up while the environment sleeps."""
    item = create(client)
    with psycopg.connect(database, autocommit=True) as other:
        others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> %s"
        ended = other.execute(f"SELECT pg_terminate_backend(pid) {others}", [other.info.backend_pid]).fetchall()
    assert ended == [(True,)]
    assert client.get(f"/items/{item['id']}").json() == item


def test_no_database_is_a_500_that_does_not_tell_the_password(
    client: httpx.Client,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    access_log: Callable[[], list[dict[str, Any]]],
) -> None:
    from app.db import get_engine
    from app.settings import get_settings

    get_engine().dispose()
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:s3cr3t@127.0.0.1:1/none")
    get_settings.cache_clear()
    response = client.get("/items")
    assert response.status_code == 500
    assert access_log()[0]["status"] == 500
    assert "s3cr3t" not in response.text + caplog.text


def test_the_url_must_be_of_postgresql(monkeypatch: pytest.MonkeyPatch) -> None:
    from app.settings import SettingsError, get_settings

    monkeypatch.setenv("DATABASE_URL", "mysql://me:s3cr3t@db/none")
    get_settings.cache_clear()
    with pytest.raises(SettingsError, match=r"DATABASE_URL: .*must start with postgresql://") as caught:
        get_settings()
    assert "s3cr3t" not in str(caught.value)
