"""Secrets: set without being shown, checked before a deploy, effective with the next one."""

import io

import pytest

from tests.deploy.cloud import Cloud

VALUE = "correct horse battery staple"


def set_secret(cloud: Cloud, monkeypatch: pytest.MonkeyPatch, value: str, name: str = "API_KEY") -> int:
    monkeypatch.setattr("sys.stdin", io.StringIO(value + "\n"))
    return cloud.run("secret", "set", name)


def test_a_value_is_stored_encrypted_and_never_shown(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert set_secret(cloud, monkeypatch, VALUE) == 0
    assert cloud.run("secret", "list") == 0
    shown = capsys.readouterr()
    assert "API_KEY" in shown.out
    assert VALUE not in shown.out + shown.err
    path = f"/{cloud.name.removesuffix('-prod')}/prod/API_KEY"
    stored = cloud.client("ssm").get_parameter(Name=path, WithDecryption=True)["Parameter"]
    assert (stored["Value"], stored["Type"]) == (VALUE, "SecureString")


def test_an_empty_or_oversized_value_is_refused(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    assert set_secret(cloud, monkeypatch, "") == 2
    assert set_secret(cloud, monkeypatch, "x" * 4097) == 2
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\xff"), encoding="utf-8"))
    assert cloud.run("secret", "set", "API_KEY") == 2


def test_a_deploy_needs_the_value_of_every_secret(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    image = cloud.push_image()
    cloud.configure('secrets = ["API_KEY"]')
    assert cloud.run("--image", image) == 1
    assert "secret set API_KEY" in capsys.readouterr().err
    assert cloud.mutations == []


def test_a_new_value_makes_a_new_version(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    image = cloud.push_image()
    cloud.configure('secrets = ["API_KEY"]')
    set_secret(cloud, monkeypatch, "old")
    cloud.run("--image", image)
    cloud.run("--image", image)
    assert cloud.mutations == []
    set_secret(cloud, monkeypatch, "new")
    assert cloud.run("--image", image) == 0
    assert cloud.live_version() == "2"
    environment = cloud.client("lambda").get_function_configuration(FunctionName=cloud.name)["Environment"]["Variables"]
    assert environment["SECRET_NAMES"] == "API_KEY"
    assert "new" not in environment.values()


def test_a_secret_in_use_cannot_be_removed(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    image = cloud.push_image()
    set_secret(cloud, monkeypatch, VALUE)
    cloud.configure('secrets = ["API_KEY"]')
    cloud.run("--image", image)
    cloud.configure("secrets = []")
    assert cloud.run("secret", "remove", "API_KEY") == 1  # the live version still reads it
    cloud.run("--image", image)
    assert cloud.run("secret", "remove", "API_KEY") == 0
    assert cloud.run("secret", "remove", "API_KEY") == 1
    assert "There is no secret API_KEY" in capsys.readouterr().err
