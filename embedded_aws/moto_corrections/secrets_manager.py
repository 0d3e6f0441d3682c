"""Where moto's Secrets Manager differs from AWS: which version is current, and what is being deleted."""

from collections.abc import Callable
from typing import Any

from moto.secretsmanager.models import secretsmanager_backends
from werkzeug import Response

from embedded_aws.calls import Call
from embedded_aws.clock import Clock
from embedded_aws.errors import AwsError

Afterwards = Callable[[Response], None]
PURGE_S = 2.0  # a name is taken for some seconds after a deletion at once; longer on AWS
MAX_BYTES = 65_536
CHANGES = ("PutSecretValue", "TagResource", "UntagResource", "UpdateSecret", "UpdateSecretVersionStage")


class SecretsManager:
    def __init__(self, account: str, clock: Clock) -> None:
        self._account = account
        self._clock = clock
        self._purged_at: dict[tuple[str, str], float] = {}

    def corrections(self) -> dict[tuple[str, str], Callable[[Call], Afterwards | None]]:
        return {
            ("secretsmanager", "CreateSecret"): self._create,
            ("secretsmanager", "DeleteSecret"): self._delete,
            **{("secretsmanager", operation): self._change for operation in CHANGES},
        }

    def _create(self, call: Call) -> None:
        """The name of a secret that is being deleted is taken."""
        secret, name = held(self._account, call), call.params["Name"]
        purged_at = self._purged_at.get((call.region, name))
        if (secret and secret.is_deleted()) or (purged_at and self._clock.time() - purged_at < PURGE_S):
            raise AwsError(
                "InvalidRequestException",
                "You can't create this secret because a secret with this name is already scheduled for deletion.",
            )
        _check_size(call)

    def _change(self, call: Call) -> Afterwards | None:
        """Not while it is being deleted. moto does not notice that UpdateSecretVersionStage moved what is current."""
        secret = held(self._account, call)
        if secret and secret.is_deleted():
            raise AwsError(
                "InvalidRequestException",
                "You can't perform this operation on the secret because it was marked for deletion.",
            )
        _check_size(call)
        if call.params.get("VersionStage") != "AWSCURRENT":
            return None
        return lambda response: secret.set_default_version_id(call.params.get("MoveToVersionId"))

    def _delete(self, call: Call) -> None:
        if call.params.get("ForceDeleteWithoutRecovery") and (secret := held(self._account, call)):
            self._purged_at[call.region, secret.name] = self._clock.time()


def held(account: str, call: Call) -> Any:
    """The secret that the call is about, None when there is none."""
    return secretsmanager_backends[account][call.region].secrets.get(call.params.get("SecretId") or call.params["Name"])


def _check_size(call: Call) -> None:
    if len(call.params.get("SecretString", "").encode()) > MAX_BYTES:
        raise AwsError(
            "ValidationException",
            "1 validation error detected: Value at 'secretString' failed to satisfy constraint: "
            f"Member must have length less than or equal to {MAX_BYTES}",
        )
