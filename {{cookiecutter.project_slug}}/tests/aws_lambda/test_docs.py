import pytest

from aws_lambda.docs import hide_docs
from tests.aws_lambda.application import create_app
from tests.aws_lambda.conftest import Start
from tests.helpers import create_client

PAGES = {"docs_url": "/help", "redoc_url": "/reference", "openapi_url": "/api.json"}


@pytest.mark.parametrize(("docs", "status"), [("true", 200), ("false", 404), ("False", 404), ("0", 404)])
def test_documentation_can_be_turned_off(start: Start, monkeypatch: pytest.MonkeyPatch, docs: str, status: int) -> None:
    monkeypatch.setenv("DOCS", docs)
    app = create_app(**PAGES)
    hide_docs(app)
    client = create_client(start(app))
    paths = [*PAGES.values(), "/docs/oauth2-redirect"]
    assert [client.get(path).status_code for path in paths] == [status] * 4
    assert client.get("/health").status_code == 200
