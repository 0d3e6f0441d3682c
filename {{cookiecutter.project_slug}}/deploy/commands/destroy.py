"""./deploy.sh destroy: take everything of a stage down, after asking, and look again whether it is gone."""

from argparse import ArgumentParser, Namespace

from deploy.aws import Aws
from deploy.config import Service
from deploy.problem import Problem, UsageProblem
from deploy.resource import Resource, read_all
from deploy.resources import Stack
{% if cookiecutter.secrets == 'secrets_manager' %}
from deploy.resources.json_secret import RECOVERY_DAYS, Secrets
{% endif %}


{% if cookiecutter.secrets == 'secrets_manager' %}
def arguments(parser: ArgumentParser, common: ArgumentParser) -> None:
    parser.add_argument("--purge", action="store_true", help="delete the secret so that nobody can bring it back")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def run(service: Service, aws: Aws, given: Namespace) -> None:
    """Lists, asks for the name, deletes; raises Problem when something is still there afterwards.

    A secret that can be brought back does not count as there, except when it is to be purged.
    """
{% else %}
def arguments(parser: ArgumentParser, common: ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="do not ask")


def run(service: Service, aws: Aws, given: Namespace) -> None:
    """Lists, asks for the name, deletes; raises Problem when something is still there afterwards."""
{% endif %}
    print(f"{service.name} · {service.stage} · {service.region}")
    stack = Stack(service, aws)
{% if cookiecutter.secrets == 'secrets_manager' %}
    secrets = stack.secrets
    secrets.purge = given.purge
{% endif %}
    every = stack.everything()
    there = _present(every)
    if not there:
{% if cookiecutter.secrets == 'secrets_manager' %}
        _tell_recoverable(secrets)
{% endif %}
        print("Nothing is there: 0 left")
        return
    print("This deletes, for good:")
    for resource in there:
{% if cookiecutter.secrets == 'secrets_manager' %}
        kept = f" (for {RECOVERY_DAYS} days it can be brought back)" if resource is secrets and not given.purge else ""
        print(f"  {resource.kind:23} {resource.name}{kept}")
{% else %}
        print(f"  {resource.kind:23} {resource.name}")
{% endif %}
    if not given.yes:
        _confirm(service.full_name)
    for resource in reversed(there):
        resource.delete()
        print(f"deleted {resource.kind} {resource.name}")
    left = _present(every)
{% if cookiecutter.secrets == 'secrets_manager' %}
    _tell_recoverable(secrets)
{% endif %}
    print(f"{len(left)} left")
    if left:
        raise Problem("Not everything is gone yet.", "Run ./deploy.sh destroy again.")


def _present(every: list[Resource]) -> list[Resource]:
    return [resource for resource, state in read_all(every).items() if state is not None]


{% if cookiecutter.secrets == 'secrets_manager' %}
def _tell_recoverable(secrets: Secrets) -> None:
    if until := secrets.recoverable_until():
        stage = secrets.service.stage
        print(f"{secrets.name} can be brought back until {until:%Y-%m-%d}: ./deploy.sh --stage {stage} secret set NAME")
        print(f"To delete it at once: ./deploy.sh --stage {stage} destroy --purge")


{% endif %}
def _confirm(name: str) -> None:
    try:
        typed = input(f"Type {name} to go on: ")
    except EOFError:
        typed = ""
        print()
    if typed.strip() != name:
        raise UsageProblem("Nothing was deleted.", f"To delete it, answer with {name}.")
