"""The secrets of the service: the keys of one JSON secret in Secrets Manager."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from deploy.errors import DeployError, UsageError, error_code, suppress_errors
from deploy.iam import Statement, allow
from deploy.resource import Cost, Prices
from deploy.resources.secret_store import Secret, SecretStore
from deploy.stage import tag_list
from deploy.state import State, tag_dict

CURRENT = "AWSCURRENT"  # the staging label of the version that the service reads
DRAFT = "DRAFT"  # the label of a version that is not current yet
KEY_TAG = "secret:"  # prefix of the tags that record the name of each key and when it was changed
MAX_BYTES = 65_536  # of all keys and values together
MAX_TAGS = 50  # of a secret; each of its keys has one
RECOVERY_DAYS = 30  # a deleted secret can be restored during this time, at no cost
MAX_ATTEMPTS = 20  # when others change the secret at the same time
PURGE_TIMEOUT_S = 60  # until the name of a purged secret can be used again


class Secrets(SecretStore):
    """The secret. `secret set` creates or restores it; a deploy only checks that its keys exist.

    Its tags contain the names of its keys, so that only `secret set` and `secret remove` have to read values.
    """

    kind = "secret"

    @property
    def name(self) -> str:
        return f"{self.config.name}/{self.config.stage}"

    @property
    def _arn(self) -> str:
        return self.stage.arn("secretsmanager", f"secret:{self.name}-??????")  # AWS appends six characters

    def location(self) -> dict[str, str]:
        return {"SECRET_ID": self.name}

    def read(self) -> State | None:
        """Return None for a secret that is deleted and can be restored."""
        secret = self._describe()
        return None if secret.get("DeletedDate") else secret or None

    def _create(self) -> None:
        """Create the secret without keys, or restore it with its keys if it was deleted."""
        client = self.stage.client("secretsmanager")
        if self.recoverable_until():
            client.restore_secret(SecretId=self.name)
            return

        def created() -> bool:
            try:
                client.create_secret(Name=self.name, SecretString="{}", Tags=self.stage.tag_list)
            except ClientError as error:
                if error_code(error) == "InvalidRequestException":  # a purged secret of this name still exists
                    return False
                if error_code(error) != "ResourceExistsException":  # somebody else created it at the same time
                    raise
            return True

        self.stage.wait_until(created, f"The previous {self.name} was not deleted", timeout_s=PURGE_TIMEOUT_S)

    def delete(self) -> None:
        """Delete the secret. It can be restored for `RECOVERY_DAYS`."""
        self.stage.client("secretsmanager").delete_secret(SecretId=self.name, RecoveryWindowInDays=RECOVERY_DAYS)

    @property
    def recovery_note(self) -> str:
        return f"can be restored for {RECOVERY_DAYS} days with {self.stage.command} secret set"

    def can_be_purged(self) -> bool:
        return bool(self._describe())

    def purge(self) -> None:
        """Delete the secret for good."""
        self.stage.client("secretsmanager").delete_secret(SecretId=self.name, ForceDeleteWithoutRecovery=True)
        self.stage.wait_until(lambda: not self._describe(), f"{self.name} was not deleted", timeout_s=PURGE_TIMEOUT_S)

    def recoverable_until(self) -> datetime | None:
        """Return when a deleted secret is deleted for good, or None if it is not deleted."""
        return self._describe().get("DeletedDate")

    def list_secrets(self, state: State | None = None) -> list[Secret]:
        secret = state or self.read()
        if not secret:
            return []
        (version,) = [id for id, labels in secret["VersionIdsToStages"].items() if CURRENT in labels]
        return [
            Secret(tag.removeprefix(KEY_TAG), version[:8], datetime.fromisoformat(changed))
            for tag, changed in sorted(tag_dict(secret["tags"]).items())
            if tag.startswith(KEY_TAG)
        ]

    def set_value(self, name: str, value: str) -> str:
        if self.read() is None:
            self._create()
        version = self._edit(lambda values: values | {name: value})
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self.stage.client("secretsmanager").tag_resource(
            SecretId=self.name, Tags=[{"Key": KEY_TAG + name, "Value": now}]
        )
        return version[:8]

    def remove(self, name: str) -> bool:
        if self.read() is None:
            return False
        # The tag is removed first, so that no deploy relies on it if this is interrupted.
        self.stage.client("secretsmanager").untag_resource(SecretId=self.name, TagKeys=[KEY_TAG + name])
        if name not in self._current_values()[1]:
            return False
        self._edit(lambda values: {key: value for key, value in values.items() if key != name})
        return True

    def _edit(self, change: Callable[[State], State]) -> str:
        """Write a changed version and make it current. Start again if somebody else changed the secret meanwhile."""
        client = self.stage.client("secretsmanager")
        for _ in range(MAX_ATTEMPTS):
            previous, values = self._current_values()
            text = json.dumps(change(values), ensure_ascii=False)
            max_keys = MAX_TAGS - len(self.stage.all_tags)
            if len(text.encode()) > MAX_BYTES or len(json.loads(text)) > max_keys:
                limit = f"{max_keys} keys and {MAX_BYTES:,} bytes"
                raise UsageError(f"{self.name} is full: a secret holds up to {limit}.", "Remove keys you do not need.")
            created = client.put_secret_value(SecretId=self.name, SecretString=text, VersionStages=[DRAFT])["VersionId"]
            try:
                client.update_secret_version_stage(
                    SecretId=self.name, VersionStage=CURRENT, RemoveFromVersionId=previous, MoveToVersionId=created
                )
                return created
            except ClientError as error:
                current, _values = self._current_values()
                if current == created:  # the label was moved, and only the response was lost
                    return created
                if error_code(error) != "InvalidParameterException" or current == previous:
                    raise
        raise DeployError(
            f"{self.name} was modified concurrently {MAX_ATTEMPTS} times; giving up.", "Run the same command again."
        )

    def _current_values(self) -> tuple[str, State]:
        """Return the ID of the current version, and its keys and values."""
        secret = self.stage.client("secretsmanager").get_secret_value(SecretId=self.name, VersionStage=CURRENT)
        try:
            return secret["VersionId"], dict(json.loads(secret["SecretString"]))
        except (KeyError, TypeError, ValueError):
            raise DeployError(f"{secret['Name']} is not a JSON object.", "Make it one in the AWS console.") from None

    def _describe(self) -> dict[str, Any]:
        """Return the secret, also if it is deleted, or an empty dictionary. Raise DeployError if it is not the tool's."""
        with suppress_errors("ResourceNotFoundException"):
            secret = self.stage.client("secretsmanager").describe_secret(SecretId=self.name)
            self.check_owner(secret.get("Tags", []))
            return {**secret, "tags": secret.get("Tags", [])}
        return {}

    def add_tags(self, tags: Mapping[str, str]) -> None:
        self.stage.client("secretsmanager").tag_resource(SecretId=self.name, Tags=tag_list(tags))

    def remove_tags(self, keys: Sequence[str]) -> None:
        self.stage.client("secretsmanager").untag_resource(SecretId=self.name, TagKeys=keys)

    def tag_permissions(self) -> list[Statement]:
        return [allow("secretsmanager", "TagResource UntagResource", self._arn)]

    def service_permissions(self) -> list[Statement]:
        """Keep the permission without secrets in deploy.toml: removing it would affect the live version."""
        return [allow("secretsmanager", "GetSecretValue", self._arn)]

    def deploy_permissions(self) -> list[Statement]:
        return [allow("secretsmanager", "DescribeSecret", "*")]  # a secret that does not exist yet has no ARN

    def destroy_permissions(self) -> list[Statement]:
        actions = """
            DeleteSecret GetSecretValue PutSecretValue RestoreSecret TagResource UntagResource UpdateSecretVersionStage
        """
        return [
            allow("secretsmanager", "CreateSecret", "*", when={"secretsmanager:Name": self.name}),
            allow("secretsmanager", actions, self._arn),
        ]

    def fixed_costs(self, prices: Prices, *, versions: int) -> list[Cost]:
        return [Cost("the secret", prices["secrets_manager"]["secret"])] if self.config.secrets else []
