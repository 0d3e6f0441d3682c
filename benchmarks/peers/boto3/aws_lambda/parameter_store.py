"""Read the secrets with a boto3 client, as most services do."""

import os
from collections.abc import Sequence

import boto3


def fetch_secrets(names: Sequence[str]) -> dict[str, str]:
    path = os.environ["SECRETS_PATH"]
    response = boto3.client("ssm").get_parameters(Names=[path + name for name in names], WithDecryption=True)
    return {parameter["Name"].removeprefix(path): parameter["Value"] for parameter in response["Parameters"]}
