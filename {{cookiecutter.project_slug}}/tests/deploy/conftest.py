from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from botocore.loaders import JSONFileLoader
from moto import mock_aws

import deploy.command_line as command_line
from tests.deploy.cloud import Cloud, complete_moto, record_calls


@pytest.fixture(scope="session", autouse=True)
def _models_are_read_once() -> Iterator[None]:
    """Each of botocore's sessions reads AWS's models anew, which would take most of these tests' time."""
    loader = JSONFileLoader()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(JSONFileLoader, "load_file", staticmethod(cache(loader.load_file)))
        yield


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
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
    with mock_aws():
        yield cloud
