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
from deploy.verbs import (
    completion,
    cost,
    deploy,
    destroy,
    doctor,
    github,
    logs,
    migrate,
    plan,
    rollback,
    secret,
    status,
)
{% else %}
from deploy.verbs import completion, cost, deploy, destroy, doctor, github, logs, plan, rollback, secret, status
{% endif %}

PROJECT = Path(__file__).resolve().parent.parent
VERBS = {
    "deploy": deploy,
    "plan": plan,
    "status": status,
    "logs": logs,
    "rollback": rollback,
    "secret": secret,
{% if cookiecutter.migrations == 'alembic' %}
    "migrate": migrate,
{% endif %}
    "cost": cost,
    "doctor": doctor,
    "github": github,
    "completion": completion,
    "destroy": destroy,
}


class Parser(argparse.ArgumentParser):
    """Tells mistakes as everything else is told: one line what, one line what to do."""

    def error(self, message: str) -> NoReturn:
        raise UsageProblem(f"{message[:1].upper()}{message[1:]}.", f"See {self.prog} --help")


def parser() -> Parser:
    """Each verb is one file of `verbs/`: it says what it does in its first line, adds its arguments, and runs."""
    top = Parser(
        prog="./deploy.sh",
        description="Deploys this service to AWS Lambda and looks after it. Without a verb: deploy.",
        parents=[_common()],
    )
    common = _common()  # not top's: its defaults would take the place of what is said before the verb
    deploy.arguments(top, common)
    verbs = top.add_subparsers(dest="verb", metavar="verb")
    for name, verb in VERBS.items():
        told = (verb.__doc__ or "").partition(": ")[2].splitlines()[0]
        verb.arguments(verbs.add_parser(name, parents=[common], help=told, description=told), common)
    top.set_defaults(stage="prod", debug=False, image=None, project=PROJECT, parser=top)
    return top


def _common() -> Parser:
    """What can be said before a verb and after it."""
    common = Parser(add_help=False, argument_default=argparse.SUPPRESS)
    stage = common.add_argument("--stage", help="which copy of the service: prod, dev, pr-12 … (default: prod)")
    stage.complete = dict.fromkeys(completion.FUNCTIONS, "_deploy_sh_stages")  # type: ignore[attr-defined]
    common.add_argument("--debug", action="store_true", help="show tracebacks and all that docker prints")
    return common


def main(argv: list[str]) -> int:
    """The exit code: 0 done, 1 something failed, 2 a mistake in deploy.toml or the arguments, 130 interrupted."""
    command = "./deploy.sh"
    try:
        arguments = parser().parse_args(argv)
        service = config.load(PROJECT / "deploy.toml", arguments.stage)
        command = service.command
        code = VERBS[arguments.verb or "deploy"].run(service, Aws(service.region), arguments)
        return code or 0
    except (BotoCoreError, ClientError, Problem) as error:
        if "--debug" in argv:
            traceback.print_exc()
        problem = error if isinstance(error, Problem) else explain(error)
        if problem.details:
            print("\n".join(f"    {line}" for line in problem.details.splitlines()), file=sys.stderr)
        fix = problem.fix if "--stage" in problem.fix else problem.fix.replace("./deploy.sh", command)
        print(f"{problem.what}\n{fix}", file=sys.stderr)
        return 1 if "--detailed-exitcode" in argv else problem.exit_code  # there, 2 says that something would change
    except KeyboardInterrupt:
        print("Interrupted. Run the same command again: it goes on from here.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # as in: ./deploy.sh logs | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
