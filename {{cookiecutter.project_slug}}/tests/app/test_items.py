from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.main import app

pytestmark = pytest.mark.usefixtures("database")

client = TestClient(app)


def create(name: str = "screw", **fields: object) -> dict[str, Any]:
    response = client.post("/items", json={"name": name, **fields})
    assert response.status_code == 201, response.text
    item: dict[str, Any] = response.json()
    return item


def test_created_item_can_be_read() -> None:
    item = create("Schräubchen 🔩", quantity=3)
    assert (item["name"], item["quantity"]) == ("Schräubchen 🔩", 3)
    assert client.get(f"/items/{item['id']}").json() == item


def test_item_can_be_replaced() -> None:
    item = create(quantity=3)
    replaced = client.put(f"/items/{item['id']}", json={"name": "nail"})
    assert replaced.status_code == 200
    assert replaced.json() == item | {"name": "nail", "quantity": 0}
    assert client.get(f"/items/{item['id']}").json() == replaced.json()


def test_item_can_be_deleted() -> None:
    path = f"/items/{create()['id']}"
    deleted = client.delete(path)
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert client.get(path).status_code == 404
    assert client.delete(path).status_code == 404


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_unknown_item_is_404(method: str) -> None:
    response = client.request(method, "/items/7", json={"name": "nail"} if method == "PUT" else None)
    assert (response.status_code, response.json()) == (404, {"detail": "Item 7 does not exist"})


def test_duplicate_name_is_409() -> None:
    create("screw")
    nail = create("nail")
    conflict = {"detail": "An item named 'screw' already exists"}
    duplicate = client.post("/items", json={"name": " screw "})
    assert (duplicate.status_code, duplicate.json()) == (409, conflict)
    renamed = client.put(f"/items/{nail['id']}", json={"name": "screw"})
    assert (renamed.status_code, renamed.json()) == (409, conflict)
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
    ],
)
def test_invalid_body_is_422(body: bytes) -> None:
    for method, path in (("POST", "/items"), ("PUT", "/items/1")):
        response = client.request(method, path, content=body, headers={"content-type": "application/json"})
        assert response.status_code == 422, response.text
    assert client.get("/items").json()["items"] == []


@pytest.mark.parametrize(
    "path",
    ["/items/screw", "/items/0", f"/items/{2**63}", "/items?limit=0", "/items?limit=101", f"/items?after={2**63}"],
)
def test_invalid_path_or_query_is_422(path: str) -> None:
    assert client.get(path).status_code == 422


def test_pages_contain_each_item_once() -> None:
    names = [f"item {n}" for n in range(7)]
    ids = [create(name)["id"] for name in names]
    listed: list[str] = []
    sizes = []
    after: int | None = 0
    while after is not None:
        page = client.get("/items", params={"limit": 3, "after": after}).json()
        listed += [item["name"] for item in page["items"]]
        sizes.append(len(page["items"]))
        after = page["next"]
        if len(sizes) == 1:  # a deleted or added item must not move others to another page
            client.delete(f"/items/{ids[0]}")
            create("item 7")
    assert listed == [*names, "item 7"]
    assert sizes == [3, 3, 2]


def test_full_last_page_has_no_next_page() -> None:
    create()
    assert client.get("/items?limit=1").json()["next"] is None
