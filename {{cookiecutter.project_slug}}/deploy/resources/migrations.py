"""Database migrations: a function that runs Alembic, which a release invokes before it publishes a version."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError, HTTPClientError
from botocore.parsers import ResponseParserError

from deploy.errors import DeployError, UsageError, error_code
from deploy.iam import Statement, allow
from deploy.invoke import invoke
from deploy.resource import Check, ReleaseStep
from deploy.resources.function import Function, Timeout
from deploy.stage import Stage
from deploy.state import State

if TYPE_CHECKING:
    from deploy.release import Live

LOG_LINES = 30  # the last ones, which explain a failure
HOST = r"(\[[^\[\]]*\]|[^:,\[\]]*)(:[0-9]*)?"  # IPv6 addresses are in brackets
HOSTS = rf"{HOST}(,{HOST})*"


class MigrationFunction(Function):
    """The image of the service with another command. It has the role, the variables and the network of the service.

    It has no versions. The database makes sure that two migrations do not run at the same time.
    """

    @property
    def name(self) -> str:
        return f"{self.stage.name}-migrate"

    @property
    def timeout(self) -> Timeout:
        return Timeout("migration_timeout_s", self.config.migration_timeout_s)

    def settings(self) -> State:
        settings = super().settings() | {"ImageConfig": {"Command": ["aws_lambda.migrate.handler"]}}
        del settings["ReservedConcurrentExecutions"]
        return settings

    def deploy_permissions(self) -> list[Statement]:
        actions = """
            CreateFunction GetFunction InvokeFunction ListTags TagResource UpdateFunctionCode UpdateFunctionConfiguration
        """
        return [allow("lambda", actions, self.arn, f"{self.arn}:*")]

    def live_config(self, live: Live) -> dict[str, Any]:
        return {}

    def checks(self) -> list[Check]:
        return []

    def status(self, live: Live) -> list[tuple[str, str]]:
        return []


@dataclass(frozen=True)
class MigrationResult:
    """The revision of the database before and after a command, or None without any, and the output of Alembic."""

    before: str | None
    after: str | None
    output: str

    def __str__(self) -> str:
        """Return a summary, such as "0001 → 0002"."""
        if self.before == self.after:
            return f"at {self.after or 'no revision'}, nothing to do"
        return f"{self.before or 'empty'} → {self.after or 'empty'}"


def run_migration(function: MigrationFunction, command: str = "upgrade", revision: str = "head") -> MigrationResult:
    """Run an Alembic command and wait for it. Raise DeployError with the log lines that explain a failure."""
    stage = function.stage
    try:
        function.wait_until_updated()
        result = invoke(stage, function.name, {"command": command, "revision": revision})
    except (HTTPClientError, ResponseParserError) as error:
        raise DeployError(
            f"The connection was lost during alembic {command}: {error}",
            "It may still be running; another run waits for it. To see the revision, run ./deploy.sh migrate current",
        ) from None
    except ClientError as error:
        if error_code(error) != "ResourceNotFoundException":
            raise
        raise DeployError(
            f"{stage.config.name} was not deployed in stage {stage.config.stage}, so its database cannot be reached.",
            "Deploy it: ./deploy.sh",
        ) from None
    if result.error:
        raise DeployError(
            f"alembic {command} failed: {result.error.splitlines()[0]}",
            "The live version did not change. Fix the cause (or raise migration_timeout_s in deploy.toml), then try again.",
            details=result.log_text(last=LOG_LINES),
        )
    return MigrationResult(result.response["from"], result.response["to"], result.response["output"])


def find_url_problem(url: str) -> str:
    """Return what is wrong with the URL of a database, without any part of it, or an empty string.

    Source: postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS
    """
    scheme, separator, rest = url.partition("://")
    if not re.fullmatch(r"postgres(ql)?(\+\w+)?", scheme) or not separator:  # SQLAlchemy adds the driver to the scheme
        return "it does not start with postgresql://"
    if re.search(r"\s", url):
        return "it contains a space or a line break"
    if re.search(r"%(?![0-9A-Fa-f]{2})", url):
        return "it contains a % that is not followed by two hexadecimal digits"
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    login, _, hosts = authority.rpartition("@")
    path = rest.removeprefix(authority).partition("?")[0]
    if re.search(r"[:@\[\]]", login.partition(":")[2]) or "@" in login + path:
        return "the password contains a special character that is not percent-encoded"
    if not re.fullmatch(HOSTS, hosts):
        return "the password contains a special character that is not percent-encoded, or the port is not a number"
    return ""


class Migrations(ReleaseStep):
    """Upgrade the database before a version is published that may need the new schema."""

    title = "Migrating database"

    def __init__(self, stage: Stage, function: MigrationFunction) -> None:
        super().__init__(stage)
        self.function = function

    def before_publish(self) -> str:
        return str(run_migration(self.function))

    def check_secret(self, name: str, value: str) -> None:
        """Reject an invalid URL, because the database driver reports it with parts of the password."""
        if name == "DATABASE_URL" and (problem := find_url_problem(value)):
            raise UsageError(
                f"DATABASE_URL is not valid: {problem}. It was not stored.",
                "Use postgresql://USER:PASSWORD@HOST/DATABASE, and percent-encode special characters, such as %40 for @.",
            )

    def rollback_note(self, version: str) -> str:
        return f"The database stays as it is; see {self.stage.command} migrate downgrade."
