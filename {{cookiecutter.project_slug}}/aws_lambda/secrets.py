"""Load the secrets of the service into environment variables."""

import os
{% if cookiecutter.migrations == 'alembic' %}
import time

RELOAD_INTERVAL_S = 10

_reloaded_at = 0.0  # a Unix time, because other clocks may stop while Lambda freezes the environment
{% endif %}


class SecretsError(Exception):
    """A secret cannot be loaded. The message contains its name, but no value."""


def load_secrets() -> None:
    """Set an environment variable for each name in SECRET_NAMES, which the deploy tool sets on Lambda.

    Do nothing if the service has no secrets. Raise SecretsError or AwsError if one cannot be loaded.
    """
    names = os.environ.get("SECRET_NAMES")
    if not names:
        return
{% if cookiecutter.secrets == 'ssm' %}
    from aws_lambda.parameter_store import fetch_secrets
{% else %}
    from aws_lambda.secrets_manager import fetch_secrets
{% endif %}

    for name, value in fetch_secrets(names.split(",")).items():
        try:
            os.environ[name] = value
        except (TypeError, ValueError):  # the exception may contain the value
            raise SecretsError(f"The secret {name} must be a string without NUL characters") from None


def set_command(name: str) -> str:
    """Return the command that sets a secret of this stage."""
    return f"./deploy.sh --stage {os.environ.get('STAGE', 'prod')} secret set {name}"
{% if cookiecutter.migrations == 'alembic' %}


def reload_secrets() -> bool:
    """Set the environment variables again if a secret was changed. Return True if one was.

    Return False, without a call to AWS, if this function was called less than RELOAD_INTERVAL_S ago.
    """
    global _reloaded_at
    if abs(time.time() - _reloaded_at) < RELOAD_INTERVAL_S:
        return False
    _reloaded_at = time.time()
    before = dict(os.environ)
    load_secrets()
    return before != os.environ
{% endif %}
