import pytest
from fastapi.testclient import TestClient

from orders.app import create_app


@pytest.fixture
def client():
    with TestClient(create_app()) as client:
        yield client
