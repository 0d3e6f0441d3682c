"""Base class for the store of the secrets that deploy.toml lists."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from deploy.errors import DeployError
from deploy.resource import Check, Outputs, Resource
from deploy.state import Reference, State


@dataclass(frozen=True)
class Secret:
    """A secret as the tool shows it: never its value."""

    name: str
    version: str
    changed: datetime


class SecretStore(Resource):
    """The store of a stage. The command `secret` changes it; a deploy reads names and dates, and changes only its tags."""

    has_tags = True

    @abstractmethod
    def location(self) -> dict[str, str]:
        """Return the variable that tells the service where its secrets are."""

    @abstractmethod
    def list_secrets(self, state: State | None = None) -> list[Secret]:
        """Return the secrets that have a value, by name. `state` is what `read` returned, if it was called already."""

    @abstractmethod
    def set_value(self, name: str, value: str) -> str:
        """Store a value and return its version."""

    @abstractmethod
    def remove(self, name: str) -> bool:
        """Delete a secret. Return True if it existed."""

    def is_used(self) -> bool:
        return bool(self.config.secrets)

    def desired(self) -> State:
        return {}

    def create(self, desired: State) -> None: ...

    def update(self, changed: State) -> None: ...

    def variables(self) -> dict[str, Any]:
        """Return the variables. A changed value changes SECRETS_CHANGED, so that a deploy publishes a new version."""
        if not self.config.secrets:
            return {}
        changed = Reference("secrets.fingerprint")
        return self.location() | {"SECRET_NAMES": ",".join(self.config.secrets), "SECRETS_CHANGED": changed}

    def outputs(self, state: State | None) -> Outputs:
        """Return a fingerprint that differs whenever a value was changed. Raise DeployError if a secret has no value."""
        if not self.config.secrets:
            return {}
        secrets = {secret.name: secret for secret in (self.list_secrets(state) if state else [])}
        for name in self.config.secrets:
            if name not in secrets:
                raise DeployError(
                    f"The secret {name}, listed in deploy.toml, has no value in stage {self.config.stage}.",
                    f"Set it: ./deploy.sh --stage {self.config.stage} secret set {name}",
                )
        lines = [f"{name} {secrets[name].version} {secrets[name].changed}" for name in sorted(self.config.secrets)]
        return {"secrets.fingerprint": hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]}

    def checks(self) -> list[Check]:
        return [Check("secrets", self._check_values)]

    def _check_values(self) -> str:
        if self.config.secrets:
            self.outputs(self.read())
        return f"{len(self.config.secrets)} in deploy.toml, each has a value"
