"""Evaluate the policies and the trust policy of the roles that moto stores."""

import json
from typing import Any
from urllib.parse import unquote

from moto.iam.models import ManagedPolicy, iam_backends

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
        self._policies_before: dict[str, tuple[float, list[str]]] = {}  # by role: time of the last change, and before
        self.checked: set[tuple[str, str, str]] = set()

    def record_creation(self, name: str) -> None:
        """Store the time at which a role was created."""
        self._created_at[name] = self._clock.time()

    def record_policy_change(self, name: str) -> None:
        """Store the time at which the inline policies of a role change, and what they are until then."""
        role = next((role for role in iam_backends[self._account]["aws"].roles.values() if role.name == name), None)
        if role:
            self._policies_before[name] = self._clock.time(), list(role.policies.values())

    def allow_everywhere(self, arn: str, action: str, resource: str) -> bool:
        """Return True if the role allows the action, and already did before a change that other services may not know.

        https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency
        """
        role = self._role(arn)
        if role is None or self._age_s(role.name) < self._delays.role_s or not self.allow(arn, action, resource):
            return False
        changed_at, before = self._policies_before.get(role.name, (0.0, []))
        if self._clock.time() - changed_at >= self._delays.role_s:
            return True
        documents = [*before, *(_default_version(policy) for policy in role.managed_policies.values())]
        return allows([s for document in documents for s in statements_of(document)], action, resource)

    def is_known_to_kms(self, arn: str) -> bool:
        """Return True if KMS can grant a role the use of a key. Until then, it does not know the new principal.

        On AWS, KMS and Lambda learn of a new role in any order (aws/chalice#1069). Here KMS is the first, so that both
        errors occur.
        """
        role = self._role(arn)
        return role is not None and self._age_s(role.name) >= self._delays.role_s / 2

    def can_assume(self, arn: str, principal: str = LAMBDA, context: dict[str, str] | None = None) -> bool:
        """Return True if the service may assume the role.

        A new role cannot be assumed for some seconds, because IAM is eventually consistent:
        https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency
        """
        role = self._role(arn)
        if role is None:
            return False
        trust = statements_of(role.assume_role_policy_document)
        return self._age_s(role.name) >= self._delays.role_s and allows(
            trust, "sts:AssumeRole", principal=principal, context=context
        )

    def allow(self, arn: str, action: str, resource: str, context: dict[str, str] | None = None) -> bool:
        """Return True if the policies of the role, and its permissions boundary if it has one, allow the action.

        Return False if the role or its boundary does not exist.
        """
        self.checked.add((arn, action, resource))
        role = self._role(arn)
        if role is None:
            return False
        documents = [*role.policies.values(), *(_default_version(policy) for policy in role.managed_policies.values())]
        statements = [statement for document in documents for statement in statements_of(document)]
        if not allows(statements, action, resource, context=context):
            return False
        if role.permissions_boundary_arn is None:
            return True
        boundary = iam_backends[self._account]["aws"].managed_policies.get(role.permissions_boundary_arn)
        return boundary is not None and allows(
            statements_of(_default_version(boundary)), action, resource, context=context
        )

    def _age_s(self, name: str) -> float:
        return self._clock.time() - self._created_at.get(name, 0.0)

    def _role(self, arn: str) -> Any:
        roles = list(iam_backends[self._account]["aws"].roles.values())
        return next((role for role in roles if role.arn == arn), None)


def _default_version(policy: ManagedPolicy) -> str:
    """Return the document of the default version of a managed policy."""
    return next(version.document for version in policy.versions if version.is_default)


def statements_of(document: str) -> list[dict[str, Any]]:
    """Return the statements of a policy document in JSON, which may be URL-encoded."""
    text = document if document.lstrip().startswith("{") else unquote(document)
    statements = json.loads(text)["Statement"]
    return statements if isinstance(statements, list) else [statements]
