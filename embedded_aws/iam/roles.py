"""Evaluate the policies and the trust policy of the roles that moto stores."""

import json
from typing import Any
from urllib.parse import unquote

from moto.iam.models import ManagedPolicy, iam_backends

from embedded_aws.clock import Clock, Delays
from embedded_aws.iam.policy import NO_RESOURCE, allows

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
        # By role name: the times of its last changes, and the policy documents before each of them.
        self._former_policies: dict[str, list[tuple[float, list[str]]]] = {}
        self.checked: set[tuple[str, str, str]] = set()

    def record_creation(self, name: str) -> None:
        """Store the time at which a role was created."""
        self._created_at[name] = self._clock.time()

    def record_policy_change(self, name: str) -> None:
        """Store the time at which the policies of a role change, and what they are until then."""
        role = next((role for role in iam_backends[self._account]["aws"].roles.values() if role.name == name), None)
        if role:
            now = self._clock.time()
            recent = [entry for entry in self._former_policies.get(name, []) if now - entry[0] < self._delays.role_s]
            self._former_policies[name] = [*recent, (now, _documents(role))]

    def allow_in_all_services(self, arn: str, action: str, resource: str) -> bool:
        """Return True if the role allows the action, with its current policies and with those before a recent change.

        Other services may still use the old ones:
        https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency
        """
        role = self._role(arn)
        if role is None or self._age_s(role.name) < self._delays.role_s or not self.allow(arn, action, resource):
            return False
        return all(
            allows(statements_of(*documents), action, resource, context=self._principal_keys(arn))
            for changed_at, documents in self._former_policies.get(role.name, [])
            if self._clock.time() - changed_at < self._delays.role_s
        )

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

    def allow(self, arn: str, action: str, resource: str | None, context: dict[str, str] | None = None) -> bool:
        """Return True if the policies of the role, and its permissions boundary if it has one, allow the action.

        Without a resource, the action is allowed if it is allowed on any. Return False if the role or its boundary does
        not exist.
        """
        self.checked.add((arn, action, resource or NO_RESOURCE))
        role = self._role(arn)
        if role is None:
            return False
        context = self._principal_keys(arn) | (context or {})
        if not allows(statements_of(*_documents(role)), action, resource, context=context):
            return False
        if role.permissions_boundary_arn is None:
            return True
        boundary = iam_backends[self._account]["aws"].managed_policies.get(role.permissions_boundary_arn)
        return boundary is not None and allows(
            statements_of(_default_version(boundary)), action, resource, context=context
        )

    def _principal_keys(self, arn: str) -> dict[str, str]:
        """Return the condition keys of a role that makes a call."""
        return {"aws:PrincipalAccount": self._account, "aws:PrincipalArn": arn}

    def _age_s(self, name: str) -> float:
        return self._clock.time() - self._created_at.get(name, 0.0)

    def _role(self, arn: str) -> Any:
        roles = list(iam_backends[self._account]["aws"].roles.values())
        return next((role for role in roles if role.arn == arn), None)


def _documents(role: Any) -> list[str]:
    """Return the documents of all policies of a role."""
    return [*role.policies.values(), *(_default_version(policy) for policy in role.managed_policies.values())]


def _default_version(policy: ManagedPolicy) -> str:
    """Return the document of the default version of a managed policy."""
    return next(version.document for version in policy.versions if version.is_default)


def statements_of(*documents: str) -> list[dict[str, Any]]:
    """Return the statements of policy documents in JSON, which may be URL-encoded."""
    statements = []
    for document in documents:
        text = document if document.lstrip().startswith("{") else unquote(document)
        content = json.loads(text)["Statement"]
        statements += content if isinstance(content, list) else [content]
    return statements
