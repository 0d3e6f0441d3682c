"""./deploy.sh destroy: takes everything of one stage down, and looks again whether it is gone."""

from deploy import resources
from deploy.aws import Aws
from deploy.config import Service
from deploy.problem import Problem, UsageProblem
from deploy.resource import Resource, read_all
from deploy.secrets import read_secrets, remove_secret


def run(service: Service, aws: Aws) -> None:
    """Lists, asks for the name, deletes; raises Problem when something is still there afterwards."""
    print(f"{service.name} · {service.stage} · {service.region}")
    there, secrets = _present(service, aws)
    if not there and not secrets:
        print("Nothing is there: 0 left")
        return
    print("This deletes, for good:")
    for resource in there:
        print(f"  {resource.kind:16} {resource.name}")
    for name in secrets:
        print(f"  {'secret':16} {service.secrets_path}{name}")
    _confirm(service.full_name)
    for name in secrets:
        remove_secret(service, aws, name)
    for resource in reversed(there):
        resource.delete()
        print(f"deleted {resource.kind} {resource.name}")
    left, secrets_left = _present(service, aws)
    print(f"{len(left) + len(secrets_left)} left")
    if left or secrets_left:
        raise Problem("Not everything is gone yet.", "Run ./deploy.sh destroy again.")


def _present(service: Service, aws: Aws) -> tuple[list[Resource], list[str]]:
    every = resources.everything(service, aws)
    there = [resource for resource, state in read_all(every).items() if state is not None]
    return there, [secret.name for secret in read_secrets(service, aws)]


def _confirm(name: str) -> None:
    try:
        typed = input(f"Type {name} to go on: ")
    except EOFError:
        typed = ""
        print()
    if typed.strip() != name:
        raise UsageProblem("Nothing was deleted.", f"To delete it, answer with {name}.")
