"""The service's secrets: one JSON object in Secrets Manager, with a key for each."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from deploy.aws import absent_is_none, error_code
from deploy.problem import Problem, UsageProblem
from deploy.resource import Resource, State, check_owner, tag_dict
from deploy.secrets import Secret

CURRENT = "AWSCURRENT"  # the staging label of the version that the service reads
DRAFT = "DRAFT"  # of a version that is written and not current yet
KEY = "secret:"  # begins the tag that says of a key that it is there, and since when
MAX_BYTES = 65_536  # of all keys and values together
MAX_KEYS = 47  # a secret holds 50 tags; three say whose it is
RECOVERY_DAYS = 30  # what is destroyed can be brought back for so long, at no cost
ROUNDS = 20  # in which somebody else's edit may come first
PURGE_S = 60  # until the name of a secret that was deleted at once is free again


class Secrets(Resource):
    """Made, or its deletion taken back, by ./deploy.sh secret set; a deploy only looks whether its keys are there.

    Its tags name its keys, so that only `secret set` and `secret remove`, which keep the others, read the values.
    """

    kind = "secret"
    purge = False

    @property
    def name(self) -> str:
        return self.service.secret_id

    def desired(self) -> State:
        return {}

    def read(self) -> State | None:
        found = self._describe()
        return None if found.get("DeletedDate") and not self.purge else found or None

    def create(self) -> None:
        """Without keys, or as it was when its deletion can be taken back."""
        if self.recoverable_until():
            self.aws.secretsmanager.restore_secret(SecretId=self.name)
            return

        def created() -> bool:
            try:
                self.aws.secretsmanager.create_secret(Name=self.name, SecretString="{}", Tags=self.service.tag_list)
            except ClientError as error:
                if error_code(error) == "InvalidRequestException":  # the one that was purged is still going
                    return False
                if error_code(error) != "ResourceExistsException":  # made by somebody else at the same time
                    raise
            return True

        self.aws.wait(f"deleting the former {self.name}", created, timeout_s=PURGE_S)

    def update(self, changed: State) -> None: ...

    def delete(self) -> None:
        if not self.purge:
            self.aws.secretsmanager.delete_secret(SecretId=self.name, RecoveryWindowInDays=RECOVERY_DAYS)
            return
        self.aws.secretsmanager.delete_secret(SecretId=self.name, ForceDeleteWithoutRecovery=True)
        self.aws.wait(f"deleting {self.name}", lambda: not self._describe(), timeout_s=PURGE_S)

    def recoverable_until(self) -> datetime | None:
        """When it goes for good; None when it is not there or not deleted."""
        return self._describe().get("DeletedDate")

    def known(self) -> list[Secret]:
        """The keys that have a value, by name."""
        found = self.read()
        if not found:
            return []
        (version,) = [id for id, labels in found["VersionIdsToStages"].items() if CURRENT in labels]
        return [
            Secret(tag.removeprefix(KEY), version[:8], datetime.fromisoformat(since))
            for tag, since in sorted(tag_dict(found["tags"]).items())
            if tag.startswith(KEY)
        ]

    def set(self, name: str, value: str) -> str:
        """Stores the value and returns the version of the secret that holds it."""
        if self.read() is None:
            self.create()
        version = self._edit(lambda values: values | {name: value})
        since = datetime.now(UTC).isoformat(timespec="seconds")
        self.aws.secretsmanager.tag_resource(SecretId=self.name, Tags=[{"Key": KEY + name, "Value": since}])
        return version[:8]

    def remove(self, name: str) -> bool:
        """Whether there was such a secret."""
        if self.read() is None or name not in self._current()[1]:
            return False
        self._edit(lambda values: {key: value for key, value in values.items() if key != name})
        self.aws.secretsmanager.untag_resource(SecretId=self.name, TagKeys=[KEY + name])
        return True

    def _edit(self, change: Callable[[State], State]) -> str:
        """Writes a new version and makes it current, unless the one it was made from no longer is: then once more."""
        for _ in range(ROUNDS):
            before, values = self._current()
            written = json.dumps(change(values), ensure_ascii=False)
            if len(written.encode()) > MAX_BYTES or len(json.loads(written)) > MAX_KEYS:
                room = f"{MAX_KEYS} keys and {MAX_BYTES:,} bytes"
                raise UsageProblem(f"{self.name} has no room for it: it holds {room}.", "Remove what is not needed.")
            made = self.aws.secretsmanager.put_secret_value(
                SecretId=self.name, SecretString=written, VersionStages=[DRAFT]
            )["VersionId"]
            try:
                self.aws.secretsmanager.update_secret_version_stage(
                    SecretId=self.name, VersionStage=CURRENT, RemoveFromVersionId=before, MoveToVersionId=made
                )
                return made
            except ClientError as error:
                now, _values = self._current()
                if now == made:  # it was moved, and only the answer lost
                    return made
                if error_code(error) != "InvalidParameterException" or now == before:
                    raise
        raise Problem(f"Others keep changing {self.name}.", "Run it again when they are done.")

    def _current(self) -> tuple[str, State]:
        """The id of the version that the service reads, and its keys and values."""
        read = self.aws.secretsmanager.get_secret_value(SecretId=self.name, VersionStage=CURRENT)
        try:
            return read["VersionId"], dict(json.loads(read["SecretString"]))
        except (KeyError, TypeError, ValueError):
            raise Problem(f"{read['Name']} does not hold a JSON object.", "Make it one in the AWS console.") from None

    def _describe(self) -> dict[str, Any]:
        """Whether it is deleted or not; empty when there is none. Raises Problem when it is not ours."""
        with absent_is_none("ResourceNotFoundException"):
            found = self.aws.secretsmanager.describe_secret(SecretId=self.name)
            check_owner(self, found.get("Tags", []))
            return {**found, "tags": found.get("Tags", [])}
        return {}
