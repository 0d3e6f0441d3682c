"""./deploy.sh secret: set, list or remove the service's secrets.

Values come from standard input or a hidden prompt and are never shown.
"""

import getpass
import re
import sys
from argparse import ArgumentParser, Namespace

from deploy.aws import Aws
from deploy.config import Service
from deploy.problem import Problem, UsageProblem
from deploy.release import live
from deploy.resources import Stack


def arguments(parser: ArgumentParser, common: ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="set|list|remove", required=True)
    for action, told in (("set", "read its value from standard input or a hidden prompt"), ("remove", "delete it")):
        actions.add_parser(action, parents=[common], help=told).add_argument("name")
    actions.add_parser("list", parents=[common], help="names, versions and dates, never values")


def run(service: Service, aws: Aws, given: Namespace) -> None:
    match given.action:
        case "set":
            set_(service, aws, given.name)
        case "remove":
            remove(service, aws, given.name)
        case _:
            list_(service, aws)


def set_(service: Service, aws: Aws, name: str) -> None:
    """Reads the value, stores it and says what is needed for it to take effect."""
    if not re.fullmatch(r"[A-Z][A-Z0-9_]{0,63}", name):
        raise UsageProblem(f"{name!r} cannot be a secret's name.", "Use capitals, digits and underscores: API_KEY")
    version = Stack(service, aws).secrets.set(name, _value(name))
    print(f"{name} is set for stage {service.stage} (version {version}).")
    if name not in service.secrets:
        print(f'Next: add "{name}" to secrets in deploy.toml, a field {name.lower()} to app/settings.py, and deploy.')
    else:
        print("What is running keeps the old value until the next ./deploy.sh")


def _value(name: str) -> str:
    try:
        value = getpass.getpass(f"Value of {name}: ") if sys.stdin.isatty() else sys.stdin.read().removesuffix("\n")
    except EOFError:
        value = ""
    except UnicodeDecodeError:
        raise UsageProblem(f"The value of {name} is not text.", "Encode it first, such as with base64.") from None
    if not value:
        raise UsageProblem(f"The value of {name} is empty.", "Give it at the prompt or on standard input.")
    return value


def list_(service: Service, aws: Aws) -> None:
    """Names, versions and dates; of values, nothing."""
    known = {secret.name: secret for secret in Stack(service, aws).secrets.known()}
    for secret in known.values():
        unused = "" if secret.name in service.secrets else "  (not in deploy.toml)"
        print(f"{secret.name:24} version {secret.version:<4} set {secret.changed:%Y-%m-%d %H:%M}{unused}")
    missing = [name for name in service.secrets if name not in known]
    for name in missing:
        print(f"{name:24} has no value: ./deploy.sh --stage {service.stage} secret set {name}")
    if not known and not missing:
        print(f"No secrets in stage {service.stage}.")


def remove(service: Service, aws: Aws, name: str) -> None:
    """Raises Problem while the live version or deploy.toml needs it: the next cold start would fail."""
    stack = Stack(service, aws)
    now = live(stack.function)
    variables = now.holds.get("Environment", {}).get("Variables", {}) if now else {}
    if name in [*service.secrets, *variables.get("SECRET_NAMES", "").split(",")]:
        raise Problem(
            f"{name} is in use: the service reads it at every cold start.",
            "Take it out of secrets in deploy.toml, deploy, and then remove it.",
        )
    if not stack.secrets.remove(name):
        raise Problem(f"There is no secret {name} in stage {service.stage}.", "See ./deploy.sh secret list")
    print(f"{name} is removed from stage {service.stage}.")
