"""./deploy.sh github: let a GitHub repository's workflows deploy, without keys that could be stolen.

The roles that it makes trust GitHub's OpenID Connect tokens.
"""

import re
from argparse import ArgumentParser, Namespace
from typing import Any

from deploy.aws import Aws
from deploy.config import Service
from deploy.problem import UsageProblem
from deploy.resource import apply, compare, read_all
from deploy.resources.github_role import GithubRole, Provider

REPOSITORY = r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}"
PREVIEW = "preview"  # the environment of all pull requests


def arguments(parser: ArgumentParser, common: ArgumentParser) -> None:
    parser.add_argument("repository", metavar="OWNER/REPO", nargs="?", default="", help="as GitHub writes it")
    parser.add_argument("--branch", default="main", help="which alone may deploy the stage (default: main)")
    parser.add_argument("--environment", help="of the jobs that deploy the stage (default: the stage's name)")
    parser.add_argument("--remove", action="store_true", help="take the roles away again")


def run(service: Service, aws: Aws, given: Namespace) -> None:
    """Makes the roles, or what differs in them, and says what to set on GitHub. For prod, also that of previews."""
    environment = given.environment or service.stage
    if not given.remove:
        _check(given.repository, environment, given.branch)
    roles = [GithubRole(service, aws, _claims(given.repository, environment, ref=f"refs/heads/{given.branch}"))]
    if service.stage == "prod":
        roles.append(GithubRole(service, aws, _claims(given.repository, PREVIEW), previews=True))
    print(f"{service.name} · {service.stage} · {service.region}")
    if given.remove:
        for role in [role for role, state in read_all(roles).items() if state is not None]:
            role.delete()
            print(f"deleted {role.kind} {role.name}")
        print(f"Nobody at GitHub can deploy {service.full_name}. The account's OIDC provider stays: others may use it.")
        return
    resources = [Provider(service, aws), *roles]
    print(f"Roles and OIDC provider: {apply(compare(resources, read_all(resources)))}")
    print(f"May deploy the stage {service.stage}: jobs in the environment {environment}, on the branch {given.branch}.")
    if service.stage == "prod":
        print(f"May deploy and destroy the stages pr-…: jobs in the environment {PREVIEW}.")
    print(f"Set these two variables in {given.repository} (Settings, Secrets and variables, Actions, Variables):")
    suffix = "" if service.stage == "prod" else f"-{service.stage}"
    for name, value in (("AWS_ROLE_ARN", roles[0].arn.removesuffix(suffix)), ("AWS_REGION", service.region)):
        print(f"  gh variable set {name} --repo {given.repository} --body {value}")


def _check(repository: str, environment: str, branch: str) -> None:
    if not re.fullmatch(REPOSITORY, repository):
        raise UsageProblem(f"{repository!r} is not a GitHub repository.", "Give it as ./deploy.sh github OWNER/REPO")
    for what, name in (("an environment", environment), ("a branch", branch)):
        if not re.fullmatch(r"[\w./-]+", name):  # a * would let in others, too
            raise UsageProblem(f"{name!r} cannot be {what}.", "Use letters, digits, and . _ - /")


def _claims(repository: str, environment: str, **more: str) -> dict[str, Any]:
    """What GitHub's token says. Since July 2026, new repositories' subjects have ids: owner@1/name@2."""
    owner, _, name = repository.partition("/")
    subjects = [f"repo:{one}:environment:{environment}" for one in (repository, f"{owner}@*/{name}@*")]
    return {"sub": subjects, **more}
