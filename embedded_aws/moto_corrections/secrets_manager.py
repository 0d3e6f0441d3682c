"""Corrections of Secrets Manager."""

from typing import Any

from moto.secretsmanager.models import secretsmanager_backends

from embedded_aws.calls import Call
from embedded_aws.clock import Clock
from embedded_aws.errors import AwsError
from embedded_aws.moto_corrections.correction import Corrections, EditResponse, ServiceCorrections

NAME_RESERVED_S = 2.0  # how long the name of a secret is reserved after an immediate deletion; longer on AWS
MAX_BYTES = 65_536
CHANGES = ("PutSecretValue", "TagResource", "UntagResource", "UpdateSecret", "UpdateSecretVersionStage")


class SecretsManagerCorrections(ServiceCorrections):
    """Protect secrets that are scheduled for deletion, and track the current version."""

    def __init__(self, account: str, clock: Clock) -> None:
        super().__init__(account)
        self._clock = clock
        self._deleted_at: dict[tuple[str, str], float] = {}  # immediate deletions, by Region and name

    def corrections(self) -> Corrections:
        """Return the corrections of calls."""
        return {
            ("secretsmanager", "CreateSecret"): self._create_secret,
            ("secretsmanager", "DeleteSecret"): self._delete_secret,
            **{("secretsmanager", operation): self._change_secret for operation in CHANGES},
        }

    def _create_secret(self, call: Call) -> None:
        """Refuse the name of a secret that is scheduled for deletion. moto accepts it.

        AWS also refuses it for some seconds after a deletion with ForceDeleteWithoutRecovery.
        https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DeleteSecret.html
        """
        secret, name = self._secret(call), call.params["Name"]
        deleted_at = self._deleted_at.get((call.region, name))
        is_reserved = deleted_at is not None and self._clock.time() - deleted_at < NAME_RESERVED_S
        if is_reserved or (secret and secret.is_deleted()):
            raise AwsError(
                "InvalidRequestException",
                "You can't create this secret because a secret with this name is already scheduled for deletion.",
            )
        _check_size(call)

    def _change_secret(self, call: Call) -> EditResponse | None:
        """Refuse to change a secret that is scheduled for deletion. moto changes it.

        moto also returns the old value after UpdateSecretVersionStage has moved AWSCURRENT to another version.
        https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecretVersionStage.html
        """
        secret = self._secret(call)
        if secret and secret.is_deleted():
            raise AwsError(
                "InvalidRequestException",
                "You can't perform this operation on the secret because it was marked for deletion.",
            )
        _check_size(call)
        if call.params.get("VersionStage") != "AWSCURRENT":
            return None
        return lambda response: secret.set_default_version_id(call.params.get("MoveToVersionId"))

    def _delete_secret(self, call: Call) -> EditResponse | None:
        """Remember when a secret was deleted with ForceDeleteWithoutRecovery (see CreateSecret)."""
        secret = self._secret(call)
        if secret is None or not call.params.get("ForceDeleteWithoutRecovery"):
            return None
        name = secret.name

        def remember(response: object) -> None:
            self._deleted_at[call.region, name] = self._clock.time()

        return remember

    def _secret(self, call: Call) -> Any:
        """Return the secret of the call, or None if it does not exist."""
        secrets = secretsmanager_backends[self._account][call.region].secrets
        return secrets.get(call.params.get("SecretId") or call.params["Name"])


def _check_size(call: Call) -> None:
    """Refuse a value of more than 65,536 bytes. moto accepts any size.

    https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html
    """
    if len(call.params.get("SecretString", "").encode()) > MAX_BYTES:
        raise AwsError(
            "ValidationException",
            "1 validation error detected: Value at 'secretString' failed to satisfy constraint: "
            f"Member must have length less than or equal to {MAX_BYTES}",
        )
