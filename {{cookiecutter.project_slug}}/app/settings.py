"""Everything that configures the service: plain variables from `[environment]` in deploy.toml, and its secrets."""

import os
from functools import lru_cache
{% if cookiecutter.cold_starts == 'snapstart' %}
from typing import Any, TypeVar
{% else %}
from typing import Any
{% endif %}

{% if cookiecutter.migrations == 'alembic' %}
from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError, field_validator
{% else %}
from pydantic import BaseModel, ConfigDict, ValidationError
{% endif %}
{% if cookiecutter.cold_starts == 'snapstart' %}

from app import restore
{% endif %}


{% if cookiecutter.cold_starts == 'snapstart' %}
class Variables(BaseModel):  # pydantic-settings would be 6 % of INIT
    """What may be in the snapshot, so no secret; `page_size` is the variable PAGE_SIZE, a list is a Json[list[str]]."""
{% else %}
class Settings(BaseModel):  # pydantic-settings would be 6 % of INIT
    """The field `page_size` is the variable PAGE_SIZE; a list is a Json[list[str]], and a secret is a SecretStr."""
{% endif %}

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    stage: str = "local"  # set by the deploy tool
    docs: bool = True  # false: no /docs and no /openapi.json
{% if cookiecutter.cold_starts == 'snapstart' %}


class Settings(Variables):
    """And the secrets, which are read after a restore; a field that holds one is a SecretStr."""
{% endif %}
{% if cookiecutter.migrations == 'alembic' %}
{% if cookiecutter.cold_starts == 'snapstart' %}

{% endif %}
    database_url: SecretStr

    @field_validator("database_url")
    @classmethod
    def _is_postgresql(cls, url: SecretStr) -> SecretStr:
        if not url.get_secret_value().startswith(("postgresql://", "postgres://")):
            raise ValueError("must start with postgresql://")
        return url
{% endif %}


{% if cookiecutter.cold_starts == 'snapstart' %}
SomeVariables = TypeVar("SomeVariables", bound=Variables)


{% endif %}
class SettingsError(Exception):
    """The environment does not fit Settings; the message names each variable, and no value."""


{% if cookiecutter.cold_starts == 'snapstart' %}
def get_variables() -> Variables:
    """Those settings that are known before a restore; raises SettingsError."""
    return _checked(Variables, {})


{% endif %}
@lru_cache
def get_settings() -> Settings:
    """The settings of this execution environment, read once; raises SettingsError, which fails a release early."""
    secrets: dict[str, Any] = {}
    if os.environ.get("SECRET_NAMES"):
{% if cookiecutter.cold_starts == 'snapstart' %}
        if not restore.restored:
            raise SettingsError(
                "get_settings() was called before the restore, so its secrets would be in the snapshot: "
                "call it where a request is served, or in on_restore"
            )
{% endif %}
        from app.secrets import read_secrets  # a service without secrets does not load it

        secrets = read_secrets()
    if unknown := secrets.keys() - Settings.model_fields.keys():
        fields = ", ".join(f"`{name}: SecretStr`" for name in sorted(unknown))
        raise SettingsError(f"Settings in app/settings.py has no field for a secret: add {fields}")
{% if cookiecutter.cold_starts == 'snapstart' %}
    return _checked(Settings, secrets)


def _checked(model: type[SomeVariables], secrets: dict[str, Any]) -> SomeVariables:
    given = {name.lower(): value for name, value in os.environ.items()} | secrets
    names = [field.validation_alias or name for name, field in model.model_fields.items()]
    try:
        return model.model_validate({str(name): given[low] for name in names if (low := str(name).lower()) in given})
{% else %}
    given = {name.lower(): value for name, value in os.environ.items()} | secrets
    names = [field.validation_alias or name for name, field in Settings.model_fields.items()]
    try:
        return Settings.model_validate({str(name): given[low] for name in names if (low := str(name).lower()) in given})
{% endif %}
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors(include_input=False)]
        raise SettingsError("; ".join(problems)) from None
