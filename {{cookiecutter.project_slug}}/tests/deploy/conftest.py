import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from moto import mock_aws

import deploy.__main__ as command_line
from tests.deploy.cloud import Cloud, complete_moto, record_calls

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """An empty account, and a copy of what the deploy tool reads of the project."""
    for name in ("deploy.toml", "Dockerfile", ".dockerignore"):
        (tmp_path / name).write_bytes((PROJECT / name).read_bytes())
    settings = tomllib.loads((tmp_path / "deploy.toml").read_text(encoding="utf-8"))
    cloud = Cloud(tmp_path, region=settings["region"], name=f"{settings['name']}-prod")
    monkeypatch.setattr(command_line, "PROJECT", tmp_path)
    for variable in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("MOTO_LAMBDA_STUB_ECR", "false")
    record_calls(cloud, monkeypatch)
    complete_moto(cloud, monkeypatch)
    with mock_aws():
        yield cloud
