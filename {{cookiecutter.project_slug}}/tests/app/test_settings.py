import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr, ValidationError

from app.main import app
from app.settings import Settings, get_settings


class ExampleSettings(Settings):
    api_key: SecretStr
    page_size: int = 20


def test_settings_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAGE", "prod")
    monkeypatch.setenv("API_KEY", "s3cr3t")
    monkeypatch.setenv("PAGE_SIZE", "50")
    settings = ExampleSettings()
    assert (settings.stage, settings.api_key.get_secret_value(), settings.page_size) == ("prod", "s3cr3t", 50)
    assert "s3cr3t" not in repr(settings)


def test_error_names_each_invalid_variable_but_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGE_SIZE", "many")
    with pytest.raises(ValidationError, match=r"api_key\n +Field required[^\n]*\n(.*\n)*page_size\n") as error:
        ExampleSettings()
    assert "many" not in str(error.value)


def test_settings_are_read_once() -> None:
    assert get_settings() is get_settings()


def test_health_fails_if_a_setting_is_invalid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.routers.health.get_settings", ExampleSettings)
    response = TestClient(app, raise_server_exceptions=False).get("/health")
    assert response.status_code == 500
