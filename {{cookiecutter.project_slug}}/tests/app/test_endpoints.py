"""The routes of the service."""

import httpx
import pytest

SETOSA = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}
VERSICOLOR = {"sepal_length": 7.0, "sepal_width": 3.2, "petal_length": 4.7, "petal_width": 1.4}
VIRGINICA = {"sepal_length": 6.3, "sepal_width": 3.3, "petal_length": 6.0, "petal_width": 2.5}


def test_root(client: httpx.Client) -> None:
    assert client.get("/").json() == {"ok": True}


def test_health(client: httpx.Client) -> None:
    assert client.get("/health").json() == {"status": "healthy"}


@pytest.mark.parametrize(
    ("flower", "species", "probability"),
    [(SETOSA, "setosa", 0.98), (VERSICOLOR, "versicolor", 0.87), (VIRGINICA, "virginica", 0.996)],
)
def test_predict(client: httpx.Client, flower: dict[str, float], species: str, probability: float) -> None:
    prediction = client.post("/predict", json=flower).json()
    assert prediction == {"species": species, "probability": pytest.approx(probability, abs=0.01)}


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b"not json",
        b'{"sepal_length": "long", "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}',
        b'{"sepal_length": -5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}',
        b'{"sepal_length": "5.1", "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}',
        b'{"sepal_length": true, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}',
        b'{"sepal_length": NaN, "sepal_width": 1e999, "petal_length": -Infinity, "petal_width": "\\ud800"}',
        b"[" * 500 + b"]" * 500,
    ],
)
def test_invalid_body_is_422(client: httpx.Client, body: bytes) -> None:
    response = client.post("/predict", content=body, headers={"content-type": "application/json"})
    assert response.status_code == 422
    assert response.json()["detail"][0]["loc"][0] == "body"


@pytest.mark.parametrize("body", [b'"\xff"', b"[" * 100_000, b"9" * 5000])
def test_a_body_that_cannot_be_read_is_400(client: httpx.Client, body: bytes) -> None:
    response = client.post("/predict", content=body, headers={"content-type": "application/octet-stream+json"})
    assert response.status_code == 400
    assert "400" in client.get("/openapi.json").json()["paths"]["/predict"]["post"]["responses"]


def test_unknown_path_is_404(client: httpx.Client) -> None:
    response = client.get("/nowhere")
    assert (response.status_code, response.json()) == (404, {"detail": "Not Found"})


def test_wrong_method_is_405(client: httpx.Client) -> None:
    response = client.get("/predict")
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


def test_trailing_slash_is_redirected_to_the_public_host(client: httpx.Client) -> None:
    response = client.get("/health/")
    assert response.status_code == 307
    assert response.headers["location"] == "https://abc123.example.com/health"


def test_docs(client: httpx.Client) -> None:
    docs = client.get("/docs")
    assert docs.headers["content-type"].startswith("text/html")
    assert "url: '/openapi.json'" in docs.text
    schema = client.get("/openapi.json").json()
    assert {"/", "/health", "/predict"} <= schema["paths"].keys()
