{% if cookiecutter.secrets == 'ssm' %}
"""The secrets of the service: encrypted parameters under one path of SSM Parameter Store."""

import os

from app.aws import call

NAMES_PER_CALL = 10  # the most that GetParameters takes
{% else %}
"""The secrets of the service: the keys of one JSON object in Secrets Manager."""

import json
import os

from app.aws import call
{% endif %}


class SecretsError(Exception):
    """A secret has no value yet; the message names it."""


def read_secrets() -> dict[str, str]:
    """The value of each secret in SECRET_NAMES, by its name in lower case; raises SecretsError or AwsError."""
{% if cookiecutter.secrets == 'ssm' %}
    path, names = os.environ["SECRETS_PATH"], os.environ["SECRET_NAMES"].split(",")
    values: dict[str, str] = {}
    for start in range(0, len(names), NAMES_PER_CALL):
        wanted = [path + name for name in names[start : start + NAMES_PER_CALL]]
        answer = call("ssm", "AmazonSSM.GetParameters", {"Names": wanted, "WithDecryption": True})
        if missing := [name.removeprefix(path) for name in answer["InvalidParameters"]]:
            raise SecretsError(f"{', '.join(missing)} not found in {path}: run `./deploy.sh secret set {missing[0]}`")
        values |= {found["Name"].removeprefix(path).lower(): found["Value"] for found in answer["Parameters"]}
    return values
{% else %}
    secret, names = os.environ["SECRET_ID"], os.environ["SECRET_NAMES"].split(",")
    answer = call("secretsmanager", "secretsmanager.GetSecretValue", {"SecretId": secret})
    try:
        values = dict(json.loads(answer["SecretString"]))
    except (KeyError, TypeError, ValueError):  # edited by hand; what it holds must not get into the logs
        raise SecretsError(f"{secret} does not hold a JSON object") from None
    if missing := [name for name in names if name not in values]:
        raise SecretsError(f"{', '.join(missing)} not found in {secret}: run `./deploy.sh secret set {missing[0]}`")
    return {name.lower(): values[name] for name in names}
{% endif %}
