HEADERS = {"Authorization": "Bearer for-the-tests"}


def test_create_book(client):
    response = client.post("/api/v1/books/", json={"title": "Dune"}, headers=HEADERS)
    assert response.status_code == 201
    assert client.get("/api/v1/books/").json() == [{"title": "Dune", "isbn": None, "id": 1}]


def test_only_administrators_create_books(client):
    assert client.post("/api/v1/books/", json={"title": "Dune"}).status_code in (401, 403)
