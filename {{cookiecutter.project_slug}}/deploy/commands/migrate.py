"""./deploy.sh migrate: run an Alembic command on the stage's database, in the migration function."""

from argparse import ArgumentParser, Namespace
from dataclasses import dataclass

from botocore.exceptions import ClientError, HTTPClientError

from deploy.aws import Aws, error_code
from deploy.check import invoke
from deploy.config import Service
from deploy.log_lines import readable
from deploy.problem import Problem
from deploy.resources.function import Function
from deploy.resources.migration_function import MigrationFunction


@dataclass(frozen=True)
class Migrated:
    """The revisions before and after, and what Alembic printed."""

    before: str | None
    after: str | None
    output: str

    def __str__(self) -> str:
        if self.before == self.after:
            return f"at {self.after or 'no revision'}, nothing to do"
        return f"{self.before or 'empty'} → {self.after or 'empty'}"


def arguments(parser: ArgumentParser, common: ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)
    up = commands.add_parser("upgrade", parents=[common], help="to a newer revision (default: the newest)")
    up.add_argument("revision", nargs="?", default="head", help="such as head or +1")
    down = commands.add_parser("downgrade", parents=[common], help="to an older revision")
    down.add_argument("revision", help="such as -1 or base")
    stamp = commands.add_parser("stamp", parents=[common], help="tell Alembic what the database is at")
    stamp.add_argument("revision")
    commands.add_parser("current", parents=[common], help="the revision that the database is at")
    commands.add_parser("history", parents=[common], help="all revisions")
    parser.set_defaults(revision="")


def run(service: Service, aws: Aws, given: Namespace) -> None:
    """Says what came of it; raises Problem when it failed or the stage was never deployed."""
    migrated = migrate(service, aws, given.command, given.revision)
    print(migrated.output.rstrip() or f"{service.full_name}: {migrated}")


def migrate(service: Service, aws: Aws, command: str = "upgrade", revision: str = "head") -> Migrated:
    """Runs it to its end; raises Problem with the log lines that explain why it failed."""
    function = MigrationFunction(service, aws, Function(service, aws))
    try:
        function.settled()  # while an update of it is under way, Lambda still runs what it was before
        said, failure, tail = invoke(aws, function.name, {"command": command, "revision": revision})
    except HTTPClientError as error:
        raise Problem(
            f"The connection was lost while {command} ran: {error}",
            "It may still be running, and a second run waits for it: ./deploy.sh migrate current says where it is.",
        ) from None
    except ClientError as error:
        if error_code(error) != "ResourceNotFoundException":
            raise
        raise Problem(
            f"{service.name} was not deployed in stage {service.stage}, so nothing can reach its database.",
            "Deploy it: ./deploy.sh",
        ) from None
    if failure:
        lines = [line.text for record in tail if (line := readable(record))]
        raise Problem(
            f"Alembic's {command} failed: {failure.splitlines()[0]}",
            "What was live still is. A failed run is rolled back; correct it and run the same command again.",
            details="\n".join(lines[-30:]),
        )
    return Migrated(said["from"], said["to"], said["output"])
