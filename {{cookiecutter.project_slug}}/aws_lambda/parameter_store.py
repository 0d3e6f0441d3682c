"""Fetch secrets from SSM Parameter Store, where each is an encrypted parameter below SECRETS_PATH."""

import os
from collections.abc import Sequence

from aws_lambda.secrets import SecretsError, set_command
from aws_lambda.sigv4 import call_aws

NAMES_PER_CALL = 10  # https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameters.html


def fetch_secrets(names: Sequence[str]) -> dict[str, str]:
    """Return the values of the secrets by name. Raise SecretsError if a secret does not exist."""
    path = os.environ["SECRETS_PATH"]
    values: dict[str, str] = {}
    for start in range(0, len(names), NAMES_PER_CALL):
        parameters = [path + name for name in names[start : start + NAMES_PER_CALL]]
        response = call_aws("ssm", "AmazonSSM.GetParameters", {"Names": parameters, "WithDecryption": True})
        if missing := [name.removeprefix(path) for name in response["InvalidParameters"]]:
            raise SecretsError(f"{', '.join(missing)} not found in {path}: run {set_command(missing[0])}")
        values |= {parameter["Name"].removeprefix(path): parameter["Value"] for parameter in response["Parameters"]}
    return values
