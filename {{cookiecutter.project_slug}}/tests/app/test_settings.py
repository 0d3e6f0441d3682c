"""Settings come from the environment and from secrets, and name what is wrong."""

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import Field, Json, SecretStr

from app import secrets, settings


class ExampleSettings(settings.Settings):
    example_key: SecretStr
    example_size: int = 20
    example_origins: Json[tuple[str, ...]] = ()
    EXAMPLE_HOST: str = "localhost"
    mode: str = Field("fast", alias="exampleMode")


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """The secrets there are; the service has ExampleSettings."""
    values = {"example_key": "s3cr3t"}
    monkeypatch.setenv("SECRET_NAMES", "EXAMPLE_KEY")
    monkeypatch.setattr(secrets, "read_secrets", lambda: values)
    monkeypatch.setattr(settings, "Settings", ExampleSettings)
    settings.get_settings.cache_clear()
    yield values
    settings.get_settings.cache_clear()


def test_defaults_are_read_once() -> None:
    got = settings.get_settings()
    assert (got.stage, got.docs) == ("local", True)
    assert settings.get_settings() is got


@pytest.mark.usefixtures("stored")
def test_variables_and_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAGE", "prod")
    monkeypatch.setenv("EXAMPLE_SIZE", "50")
    monkeypatch.setenv("EXAMPLE_ORIGINS", '["https://a.example", "https://b.example"]')
    monkeypatch.setenv("EXAMPLE_HOST", "host.example")
    monkeypatch.setenv("EXAMPLEMODE", "slow")
    monkeypatch.setenv("EXAMPLE_KEY", "from the environment")
    got = settings.get_settings()
    assert isinstance(got, ExampleSettings)
    assert (got.stage, got.example_size, got.example_key.get_secret_value()) == ("prod", 50, "s3cr3t")
    assert got.example_origins == ("https://a.example", "https://b.example")
    assert (got.EXAMPLE_HOST, got.mode) == ("host.example", "slow")
    assert "s3cr3t" not in repr(got)


@pytest.mark.usefixtures("stored")
def test_every_wrong_variable_is_named_and_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXAMPLE_SIZE", "many")
    monkeypatch.setenv("EXAMPLE_ORIGINS", "https://a.example")
    monkeypatch.setenv("DOCS", "perhaps")
    with pytest.raises(settings.SettingsError) as caught:
        settings.get_settings()
    message = str(caught.value)
    assert "EXAMPLE_SIZE: Input should be a valid integer" in message
    assert "EXAMPLE_ORIGINS: Invalid JSON" in message
    assert "DOCS: Input should be a valid boolean" in message
    assert "many" not in message
    assert "a.example" not in message
    assert "perhaps" not in message


def test_missing_secret_is_named(stored: dict[str, Any]) -> None:
    del stored["example_key"]
    with pytest.raises(settings.SettingsError, match=r"^EXAMPLE_KEY: Field required$"):
        settings.get_settings()


def test_secret_without_a_field_is_named(stored: dict[str, Any]) -> None:
    stored["webhook_url"] = "https://user:hunter2@host/hook"
    with pytest.raises(settings.SettingsError, match="add `webhook_url: SecretStr`") as caught:
        settings.get_settings()
    assert "hunter2" not in str(caught.value)


def test_secret_of_the_wrong_type_is_not_shown(stored: dict[str, Any]) -> None:
    stored["example_key"] = ["s3cr3t"]
    with pytest.raises(settings.SettingsError, match=r"^EXAMPLE_KEY: Input should be a valid string$"):
        settings.get_settings()
