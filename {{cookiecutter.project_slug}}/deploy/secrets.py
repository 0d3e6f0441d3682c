"""The service's secrets: SSM SecureStrings, one parameter each, below the stage's own path."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from botocore.exceptions import ClientError

from deploy.aws import Aws, absent_is_none, error_code
from deploy.config import Service
from deploy.problem import Problem, UsageProblem

MAX_BYTES = 4096  # of a standard parameter, which is free


@dataclass(frozen=True)
class Secret:
    """All that this tool ever reads of a secret: never its value."""

    name: str
    version: int
    changed: datetime


def read_secrets(service: Service, aws: Aws) -> list[Secret]:
    """The secrets that have a value, by name."""
    pages = aws.ssm.get_paginator("describe_parameters").paginate(
        ParameterFilters=[{"Key": "Path", "Option": "OneLevel", "Values": [service.secrets_path.rstrip("/")]}]
    )
    found = [parameter for page in pages for parameter in page["Parameters"]]
    return sorted(
        (
            Secret(one["Name"].removeprefix(service.secrets_path), one["Version"], one["LastModifiedDate"])
            for one in found
        ),
        key=lambda secret: secret.name,
    )


def secrets_changed(service: Service, aws: Aws) -> str:
    """A mark that differs whenever a secret of deploy.toml was set anew; raises Problem when one has no value."""
    if not service.secrets:
        return ""
    known = {secret.name: secret for secret in read_secrets(service, aws)}
    for name in service.secrets:
        if name not in known:
            raise Problem(
                f"deploy.toml lists the secret {name}, which has no value in stage {service.stage}.",
                f"Give it one: ./deploy.sh --stage {service.stage} secret set {name}",
            )
    marks = "\n".join(f"{name} {known[name].version} {known[name].changed}" for name in sorted(service.secrets))
    return hashlib.sha256(marks.encode()).hexdigest()[:12]


def set_secret(service: Service, aws: Aws, name: str, value: str) -> int:
    """Stores the value and returns the number of its version."""
    if not value or len(value.encode()) > MAX_BYTES:
        raise UsageProblem(
            f"The value of {name} is {'empty' if not value else 'too long'}.",
            f"Give 1 to {MAX_BYTES:,} bytes on standard input.",
        )
    parameter = service.secrets_path + name
    try:  # tags can be given only to a new parameter
        tags = [{"Key": key, "Value": tag} for key, tag in service.tags.items()]
        made = aws.ssm.put_parameter(Name=parameter, Value=value, Type="SecureString", Tags=tags)  # type: ignore[arg-type]
    except ClientError as error:
        if error_code(error) != "ParameterAlreadyExists":
            raise
        made = aws.ssm.put_parameter(Name=parameter, Value=value, Type="SecureString", Overwrite=True)
    return made["Version"]


def remove_secret(service: Service, aws: Aws, name: str) -> bool:
    """Whether there was such a secret."""
    with absent_is_none("ParameterNotFound"):
        aws.ssm.delete_parameter(Name=service.secrets_path + name)
        return True
    return False
