import pytest
from fastapi.testclient import TestClient

from app.main import app

client = TestClient(app)

SETOSA = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}
VERSICOLOR = {"sepal_length": 7.0, "sepal_width": 3.2, "petal_length": 4.7, "petal_width": 1.4}
VIRGINICA = {"sepal_length": 6.3, "sepal_width": 3.3, "petal_length": 6.0, "petal_width": 2.5}


def test_root_responds() -> None:
    assert client.get("/").json() == {"ok": True}


def test_service_is_healthy() -> None:
    assert client.get("/health").json() == {"status": "healthy"}


@pytest.mark.parametrize(
    ("flower", "species", "probability"),
    [(SETOSA, "setosa", 0.98), (VERSICOLOR, "versicolor", 0.87), (VIRGINICA, "virginica", 0.996)],
)
def test_each_species_is_recognized(flower: dict[str, float], species: str, probability: float) -> None:
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
    ],
)
def test_invalid_body_is_rejected(body: bytes) -> None:
    response = client.post("/predict", content=body, headers={"content-type": "application/json"})
    assert response.status_code == 422
    assert response.json()["detail"][0]["loc"][0] == "body"


@pytest.mark.parametrize("body", [b'"\xff"', b"[" * 100_000, b"9" * 5000])
def test_unparsable_body_is_rejected(body: bytes) -> None:
    response = client.post("/predict", content=body, headers={"content-type": "application/octet-stream+json"})
    assert response.status_code == 400


def test_openapi_document_describes_the_routes() -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/", "/health", "/predict"} <= paths.keys()
    assert {"200", "400", "422"} == paths["/predict"]["post"]["responses"].keys()


def test_docs() -> None:
    assert [client.get(path).status_code for path in ("/docs", "/redoc", "/openapi.json")] == [200, 200, 200]
    assert "url: '/openapi.json'" in client.get("/docs").text
