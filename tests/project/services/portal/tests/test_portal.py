from fastapi.testclient import TestClient

from portal.config import API_KEY
from portal.main import app

client = TestClient(app)


def test_the_api_needs_the_key() -> None:
    assert client.get("/api/me").status_code == 401
    assert client.get("/api/me", headers={"X-API-Key": API_KEY}).json()["name"] == "portal"


def test_unknown_paths_show_the_front_end() -> None:
    assert "<title>Portal</title>" in client.get("/", headers={"X-API-Key": API_KEY}).text
