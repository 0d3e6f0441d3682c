"""The command line of ./deploy.sh: which verb, on which stage, and how it ends."""

import argparse
import os
import sys
import traceback
from pathlib import Path
from typing import NoReturn

from botocore.exceptions import BotoCoreError, ClientError

from deploy import config
from deploy.aws import Aws, explain
from deploy.problem import Problem, UsageProblem
{% if cookiecutter.migrations == 'alembic' %}
from deploy.verbs import deploy, destroy, logs, migrate, secret, status
{% else %}
from deploy.verbs import deploy, destroy, logs, secret, status
{% endif %}

PROJECT = Path(__file__).resolve().parent.parent


class Parser(argparse.ArgumentParser):
    """Tells mistakes as everything else is told: one line what, one line what to do."""

    def error(self, message: str) -> NoReturn:
        raise UsageProblem(f"{message[:1].upper()}{message[1:]}.", f"See {self.prog} --help")


def hours(text: str) -> float:
    given = float(text)
    if not 0 < given < 100_000:
        raise ValueError
    return given


def parser() -> Parser:
    common = Parser(add_help=False, argument_default=argparse.SUPPRESS)
    common.add_argument("--stage", help="which copy of the service: prod, dev, pr-12 … (default: prod)")
    common.add_argument("--debug", action="store_true", help="show tracebacks and all that docker prints")
    image = Parser(add_help=False, argument_default=argparse.SUPPRESS)
    image.add_argument("--image", metavar="URI", help="deploy this image from ECR instead of building one")
    top = Parser(
        prog="./deploy.sh",
        description="Deploys this service to AWS Lambda and looks after it. Without a verb: deploy.",
        parents=[common, image],
    )
    verbs = top.add_subparsers(dest="verb", metavar="verb")
    verbs.add_parser("deploy", parents=[common, image], help="build, push, release and check (the default)")
    verbs.add_parser("status", parents=[common], help="what is live, since when, and how it fares")
    log = verbs.add_parser("logs", parents=[common], help="what the service wrote, as readable lines")
    log.add_argument("-f", "--follow", action="store_true", help="go on until Ctrl-C")
    log.add_argument("--errors", action="store_true", help="errors only")
    log.add_argument("--hours", type=hours, default=1.0, help="how far back (default: 1)")
    secrets = verbs.add_parser("secret", parents=[common], help="set, list or remove the service's secrets")
    actions = secrets.add_subparsers(dest="action", metavar="set|list|remove", required=True)
    for action, told in (("set", "read its value from standard input or a hidden prompt"), ("remove", "delete it")):
        actions.add_parser(action, parents=[common], help=told).add_argument("name")
    actions.add_parser("list", parents=[common], help="names, versions and dates, never values")
{% if cookiecutter.migrations == 'alembic' %}
    migrations = verbs.add_parser("migrate", parents=[common], help="run an Alembic command on the stage's database")
    actions = migrations.add_subparsers(dest="action", metavar="|".join(migrate.CHANGES + migrate.LOOKS), required=True)
    up = actions.add_parser("upgrade", parents=[common], help="to a newer revision (default: the newest)")
    up.add_argument("revision", nargs="?", default="head", help="such as head or +1")
    down = actions.add_parser("downgrade", parents=[common], help="to an older revision")
    down.add_argument("revision", help="such as -1 or base")
    stamp = actions.add_parser("stamp", parents=[common], help="tell Alembic what the database is at")
    stamp.add_argument("revision")
    actions.add_parser("current", parents=[common], help="the revision that the database is at")
    actions.add_parser("history", parents=[common], help="all revisions")
{% endif %}
{% if cookiecutter.secrets == 'ssm' %}
    verbs.add_parser("destroy", parents=[common], help="take everything of a stage down, after asking")
{% else %}
    end = verbs.add_parser("destroy", parents=[common], help="take everything of a stage down, after asking")
    end.add_argument("--purge", action="store_true", help="delete the secret at once, so that nobody can bring it back")
{% endif %}
    return top


def run(arguments: argparse.Namespace) -> None:
    service = config.load(PROJECT / "deploy.toml", getattr(arguments, "stage", "prod"))
    aws = Aws(service.region)
    match arguments.verb:
        case "status":
            status.run(service, aws)
        case "logs":
            logs.run(service, aws, follow=arguments.follow, errors_only=arguments.errors, hours=arguments.hours)
        case "secret" if arguments.action == "set":
            secret.set_(service, aws, arguments.name)
        case "secret" if arguments.action == "remove":
            secret.remove(service, aws, arguments.name)
        case "secret":
            secret.list_(service, aws)
{% if cookiecutter.migrations == 'alembic' %}
        case "migrate":
            migrate.run(service, aws, arguments.action, getattr(arguments, "revision", ""))
{% endif %}
        case "destroy":
{% if cookiecutter.secrets == 'ssm' %}
            destroy.run(service, aws)
{% else %}
            destroy.run(service, aws, purge=arguments.purge)
{% endif %}
        case _:
            image = getattr(arguments, "image", None)
            deploy.run(service, aws, PROJECT, image=image, debug=getattr(arguments, "debug", False))


def main(argv: list[str]) -> int:
    """The exit code: 0 done, 1 something failed, 2 a mistake in deploy.toml or the arguments, 130 interrupted."""
    try:
        arguments = parser().parse_args(argv)
        run(arguments)
    except (BotoCoreError, ClientError, Problem) as error:
        if "--debug" in argv:
            traceback.print_exc()
        problem = error if isinstance(error, Problem) else explain(error)
        if problem.details:
            print("\n".join(f"    {line}" for line in problem.details.splitlines()), file=sys.stderr)
        print(f"{problem.what}\n{problem.fix}", file=sys.stderr)
        return problem.exit_code
    except KeyboardInterrupt:
        print("Interrupted. Run the same command again: it goes on from here.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # as in: ./deploy.sh logs | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return 0
