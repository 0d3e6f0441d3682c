"""The service's secrets: what deploy.toml lists, checked against what has a value. No value is ever shown."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from deploy.config import Service
from deploy.problem import Problem


@dataclass(frozen=True)
class Secret:
    """All that is told of a secret: never its value."""

    name: str
    version: str
    changed: datetime


def secrets_changed(service: Service, known: Iterable[Secret]) -> str:
    """A mark that differs whenever a secret of deploy.toml was set anew; raises Problem when one has no value."""
    values = {secret.name: secret for secret in known}
    for name in service.secrets:
        if name not in values:
            raise Problem(
                f"deploy.toml lists the secret {name}, which has no value in stage {service.stage}.",
                f"Give it one: ./deploy.sh --stage {service.stage} secret set {name}",
            )
    marks = "\n".join(f"{name} {values[name].version} {values[name].changed}" for name in sorted(service.secrets))
    return hashlib.sha256(marks.encode()).hexdigest()[:12] if marks else ""
