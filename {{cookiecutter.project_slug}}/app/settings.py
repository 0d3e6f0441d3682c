"""Settings of the service, read from environment variables."""

{% if cookiecutter.migrations == 'alembic' %}
import re
{% endif %}
from functools import lru_cache

{% if cookiecutter.migrations == 'alembic' %}
from pydantic import SecretStr, field_validator
{% endif %}
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """The field `page_size: int` reads PAGE_SIZE. On Lambda, secrets are environment variables too: use SecretStr."""

    model_config = SettingsConfigDict(hide_input_in_errors=True)  # keep the values of secrets out of the logs

    stage: str = "local"  # set by ./deploy.sh
{% if cookiecutter.migrations == 'alembic' %}
    database_url: SecretStr

    @field_validator("database_url")
    @classmethod
    def check_database_url(cls, url: SecretStr) -> SecretStr:
        if not re.match(r"postgres(ql)?(\+\w+)?://", url.get_secret_value()):
            raise ValueError("must start with postgresql://")
        return url
{% endif %}


@lru_cache
def get_settings() -> Settings:
    return Settings()
