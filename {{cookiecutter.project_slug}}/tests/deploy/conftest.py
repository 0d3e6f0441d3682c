from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from botocore.loaders import create_loader
from botocore.session import Session
from moto import mock_aws
from moto.core.models import MockAWS

from deploy import options
{% if cookiecutter.migrations == 'alembic' %}
from tests.deploy.aws_account import AwsAccount, connect, nothing_to_migrate
{% else %}
from tests.deploy.aws_account import AwsAccount, connect
{% endif %}


@pytest.fixture(scope="session")
def moto_account() -> Iterator[MockAWS]:
    """moto instead of AWS. All tests share the clients and the data they are created from, which takes long to load."""
    create = Session.create_client
    clients: dict[str, Any] = {}

    def create_client(session: Session, name: Any, **options: Any) -> Any:
        key = f"{name} {vars(options['config']) if options.get('config') else None}"
        if key not in clients:
            clients[key] = create(session, name, **options)
        return clients[key]

    keep_credentials: Any = {"core": {"mock_credentials": False}}  # those in conftest.py, which other tests expect
    with mock_aws(config=keep_credentials) as account, pytest.MonkeyPatch.context() as patch:
        patch.setattr("botocore.session.Session.create_client", create_client)
        patch.setattr("botocore.session.create_loader", cache(create_loader))
        yield account


@pytest.fixture
def account(moto_account: MockAWS, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AwsAccount:
    """An empty account, and a project with only the required settings."""
    (tmp_path / "deploy.toml").write_text('name = "my-api"\nregion = "us-east-1"\n', encoding="utf-8")
    (tmp_path / "Dockerfile").write_text("FROM scratch\n", encoding="utf-8")
    account = AwsAccount(tmp_path, region="us-east-1", name="my-api-prod")
{% if cookiecutter.migrations == 'alembic' %}
    account.functions.functions["my-api-prod-migrate"] = nothing_to_migrate
{% endif %}
    monkeypatch.setattr(options, "PROJECT", tmp_path)
    for variable in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("MOTO_LAMBDA_STUB_ECR", "false")
    connect(account, monkeypatch)
    moto_account.reset()
    return account
