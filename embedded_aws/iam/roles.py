"""What may a role do, and may Lambda assume it? Read from the IAM that moto keeps."""

import json
from typing import Any
from urllib.parse import unquote

from moto.iam.models import iam_backends

from embedded_aws.clock import Clock, Delays
from embedded_aws.iam.policy import allows

LAMBDA = "lambda.amazonaws.com"


class Roles:
    def __init__(self, account: str, clock: Clock, delays: Delays) -> None:
        self._account = account
        self._clock = clock
        self._delays = delays
        self._created_at: dict[str, float] = {}
        self.asked: set[tuple[str, str, str]] = set()

    def created(self, name: str) -> None:
        self._created_at[name] = self._clock.time()

    def can_assume(self, arn: str, principal: str = LAMBDA) -> bool:
        """A new role cannot be assumed for some seconds: IAM is eventually consistent."""
        role = self._role(arn)
        if role is None:
            return False
        known_s = self._clock.time() - self._created_at.get(role.name, 0.0)
        trust = _statements(role.assume_role_policy_document)
        return known_s >= self._delays.role_s and allows(trust, "sts:AssumeRole", principal=principal)

    def allow(self, arn: str, action: str, resource: str, context: dict[str, str] | None = None) -> bool:
        self.asked.add((arn, action, resource))
        role = self._role(arn)
        if role is None:
            return False
        documents = [*role.policies.values(), *(p.document for p in role.managed_policies.values())]
        return allows([s for document in documents for s in _statements(document)], action, resource, context=context)

    def _role(self, arn: str) -> Any:
        roles = list(iam_backends[self._account]["aws"].roles.values())
        return next((role for role in roles if role.arn == arn), None)


def _statements(document: str) -> list[dict[str, Any]]:
    text = document if document.lstrip().startswith("{") else unquote(document)
    statements = json.loads(text)["Statement"]
    return statements if isinstance(statements, list) else [statements]
