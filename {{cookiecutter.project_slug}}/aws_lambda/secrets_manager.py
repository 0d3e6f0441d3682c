"""Fetch secrets from Secrets Manager, where all of them are keys of the JSON object in the secret SECRET_ID."""

import json
import os
from collections.abc import Sequence
from typing import Any

from aws_lambda.secrets import SecretsError, set_command
from aws_lambda.sigv4 import call_aws


def fetch_secrets(names: Sequence[str]) -> dict[str, Any]:
    """Return the values of the secrets by name. Raise SecretsError if a secret does not exist."""
    secret_id = os.environ["SECRET_ID"]
    response = call_aws("secretsmanager", "secretsmanager.GetSecretValue", {"SecretId": secret_id})
    try:
        values = dict(json.loads(response["SecretString"]))
    except (KeyError, TypeError, ValueError):  # the exception may contain the value
        raise SecretsError(f"{secret_id} does not contain a JSON object") from None
    if missing := [name for name in names if name not in values]:
        raise SecretsError(f"{', '.join(missing)} not found in {secret_id}: run {set_command(missing[0])}")
    return {name: values[name] for name in names}
