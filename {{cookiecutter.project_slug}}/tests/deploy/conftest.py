from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.session import Session
from moto import mock_aws
from moto.core.models import MockAWS

import deploy.command_line as command_line
from tests.deploy.cloud import Cloud, complete_moto, record_calls


@pytest.fixture(scope="session")
def account() -> Iterator[MockAWS]:
    """moto in place of AWS. Tests share sessions and clients: making them takes longer than the calls of most tests."""
    make = Session.create_client
    clients: dict[tuple[str, str, str], Any] = {}

    def create_client(session: Session, name: str, region_name: str, config: Any = None) -> Any:
        key = name, region_name, f"{config and vars(config)}"
        if key not in clients:
            clients[key] = make(session, name, region_name=region_name, config=config)
        return clients[key]

    with mock_aws() as account, pytest.MonkeyPatch.context() as patched:
        patched.setattr("botocore.session.Session.create_client", create_client)
        patched.setattr("botocore.session.get_session", cache(botocore.session.get_session))
        yield account


@pytest.fixture
def cloud(account: MockAWS, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """An empty account, and a project with no settings of its own."""
    (tmp_path / "deploy.toml").write_text('name = "my-api"\nregion = "us-east-1"\n', encoding="utf-8")
    (tmp_path / "Dockerfile").write_text("FROM scratch\n", encoding="utf-8")
    cloud = Cloud(tmp_path, region="us-east-1", name="my-api-prod")
    monkeypatch.setattr(command_line, "PROJECT", tmp_path)
    for variable in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("MOTO_LAMBDA_STUB_ECR", "false")
    record_calls(cloud, monkeypatch)
    complete_moto(cloud, monkeypatch)
    account.reset()
    return cloud
