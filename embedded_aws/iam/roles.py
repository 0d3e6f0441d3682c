"""Evaluate the policies and the trust policy of the roles that moto stores."""

import json
from typing import Any
from urllib.parse import unquote

from moto.iam.models import iam_backends

from embedded_aws.clock import Clock, Delays
from embedded_aws.iam.policy import allows

LAMBDA = "lambda.amazonaws.com"


class Roles:
    """The IAM roles of an account.

    `checked` records the role, action and resource of every permission check.
    """

    def __init__(self, account: str, clock: Clock, delays: Delays) -> None:
        self._account = account
        self._clock = clock
        self._delays = delays
        self._created_at: dict[str, float] = {}
        self.checked: set[tuple[str, str, str]] = set()

    def record_creation(self, name: str) -> None:
        """Store the time at which a role was created."""
        self._created_at[name] = self._clock.time()

    def can_assume(self, arn: str, principal: str = LAMBDA) -> bool:
        """Return True if the service may assume the role.

        A new role cannot be assumed for some seconds, because IAM is eventually consistent:
        https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency
        """
        role = self._role(arn)
        if role is None:
            return False
        age_s = self._clock.time() - self._created_at.get(role.name, 0.0)
        trust = _statements(role.assume_role_policy_document)
        return age_s >= self._delays.role_s and allows(trust, "sts:AssumeRole", principal=principal)

    def allow(self, arn: str, action: str, resource: str, context: dict[str, str] | None = None) -> bool:
        """Return True if the policies of the role allow the action. Return False if the role does not exist."""
        self.checked.add((arn, action, resource))
        role = self._role(arn)
        if role is None:
            return False
        documents = [*role.policies.values(), *(policy.document for policy in role.managed_policies.values())]
        statements = [statement for document in documents for statement in _statements(document)]
        return allows(statements, action, resource, context=context)

    def _role(self, arn: str) -> Any:
        roles = list(iam_backends[self._account]["aws"].roles.values())
        return next((role for role in roles if role.arn == arn), None)


def _statements(document: str) -> list[dict[str, Any]]:
    """Return the statements of a policy document in JSON, which may be URL-encoded."""
    text = document if document.lstrip().startswith("{") else unquote(document)
    statements = json.loads(text)["Statement"]
    return statements if isinstance(statements, list) else [statements]
