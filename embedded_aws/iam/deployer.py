"""The deployer: the caller with the credentials of EmbeddedAws, as opposed to the roles of functions."""

import contextlib
from collections.abc import Callable, Iterable, Iterator

from embedded_aws.iam.authorization import Authorization, Need
from embedded_aws.iam.roles import Roles
from embedded_aws.lambda_.state import EventSourceMapping


class Deployer:
    """The permissions of the deployer.

    The deployer may do everything, except while it acts as a role.
    """

    def __init__(self, account: str, roles: Roles, mapping: Callable[[str, str], EventSourceMapping | None]) -> None:
        self.authorization = Authorization(account, mapping)
        self._account = account
        self._roles = roles
        self._role: str | None = None
        self._checked: list[Need] = []

    @property
    def acts_as_role(self) -> bool:
        """True while the deployer has only the permissions of a role."""
        return self._role is not None

    @property
    def arn(self) -> str:
        """The ARN of the principal, as error messages state it."""
        if self._role is None:
            return f"arn:aws:sts::{self._account}:user/moto"  # as moto's GetCallerIdentity
        return f"arn:aws:sts::{self._account}:assumed-role/{self._role.rpartition('/')[2]}/GitHubActions"

    @contextlib.contextmanager
    def acting_as(self, role: str) -> Iterator[list[Need]]:
        """Restrict the deployer to the permissions of a role (its ARN). Yield the list of all checked permissions."""
        self._role, self._checked = role, []
        try:
            yield self._checked
        finally:
            self._role = None

    def first_denied(self, needs: Iterable[Need]) -> Need | None:
        """Return the first of these permissions that the deployer does not have, or None."""
        return next((need for need in needs if not self._is_allowed(need)), None)

    def _is_allowed(self, need: Need) -> bool:
        if self._role is None:
            return True
        self._checked.append(need)
        return self._roles.allow(self._role, need.action, need.resource, need.context)
