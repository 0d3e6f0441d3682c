"""./deploy.sh github: let the workflows of a GitHub repository deploy, without stored keys."""

from __future__ import annotations

import re
from typing import Annotated, Any

import typer

from deploy.errors import UsageError
from deploy.options import DebugOption, StageOption, open_stage
from deploy.plan import apply_changes, compare, read_states
from deploy.resource import Resource
from deploy.resources.github_role import GithubRole, JobsPolicy, OidcProvider
from deploy.stage import Stage

app = typer.Typer()

# The names of enterprise managed users contain an underscore. GitHub does not allow names that end with .git.
REPOSITORY = r"[A-Za-z0-9][A-Za-z0-9_-]{0,38}/(?!\.{1,2}$)(?!.*\.git$)[A-Za-z0-9._-]{1,100}"
PREVIEW = "preview"  # the environment of all pull requests


@app.command("github")
def github_command(
    context: typer.Context,
    repository: Annotated[str, typer.Argument(metavar="OWNER/REPO", help="The repository.", show_default=False)] = "",
    branch: Annotated[str, typer.Option(help="The only branch that may deploy the stage.")] = "main",
    environment: Annotated[
        str | None, typer.Option(help="The environment of the jobs that deploy (default: the name of the stage).")
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Delete the roles.")] = False,
    stage_name: StageOption = None,
    debug: DebugOption = False,
) -> None:
    """Let the workflows of a GitHub repository deploy.

    Create IAM roles that trust GitHub's OpenID Connect tokens. For prod, one of them deploys and destroys previews.
    """
    stage = open_stage(context)
    environment = environment or stage.config.stage
    if not remove:
        _check_names(repository, environment, branch)
    roles = [GithubRole(stage, _claims(repository, environment, ref=f"refs/heads/{branch}"))]
    if stage.config.stage == "prod":
        roles.append(GithubRole(stage, _claims(repository, PREVIEW), previews=True))
    print(stage)
    policies = [JobsPolicy(role) for role in roles]
    if remove:
        _delete(stage, [*policies, *roles])
        return
    resources: list[Resource] = [OidcProvider(stage), *roles, *policies]
    changes = compare(resources, read_states(resources), {})
    print(f"Roles and OIDC provider: {apply_changes(changes, resources, {})}")
    print(f"Jobs in the environment {environment} on the branch {branch} may deploy the stage {stage.config.stage}.")
    if stage.config.stage == "prod":
        print(f"Jobs in the environment {PREVIEW} may deploy and destroy the stages pr-….")
    print(f"Set these two variables in {repository} (Settings, Secrets and variables, Actions, Variables):")
    suffix = "" if stage.config.stage == "prod" else f"-{stage.config.stage}"
    for name, value in (("AWS_ROLE_ARN", roles[0].arn.removesuffix(suffix)), ("AWS_REGION", stage.config.region)):
        print(f"  gh variable set {name} --repo {repository} --body {value}")
    if suffix:
        print(f"The jobs of this stage have to append {suffix} to AWS_ROLE_ARN: see role-to-assume in deploy.yml.")


def _delete(stage: Stage, resources: list[Resource]) -> None:
    for resource, state in read_states(resources).items():
        if state is not None:
            resource.delete()
            print(f"deleted {resource.kind} {resource.name}")
    print(f"GitHub Actions can no longer deploy {stage.name}.")
    print("The account's OIDC provider was kept, because other roles may use it.")


def _check_names(repository: str, environment: str, branch: str) -> None:
    if not re.fullmatch(REPOSITORY, repository):
        raise UsageError(f"{repository!r} is not a GitHub repository.", "Run ./deploy.sh github OWNER/REPO")
    for noun, name in (("environment", environment), ("branch", branch)):
        if not re.fullmatch(r"[\w./-]+", name):  # a * would match other names, too
            raise UsageError(f"{name!r} is not a valid {noun} name.", "Use letters, digits, and . _ - /")


def _claims(repository: str, environment: str, **others: str) -> dict[str, Any]:
    """Return the claims of GitHub's token. Since July 2026, new repositories have IDs in it: owner@1/name@2."""
    owner, _, name = repository.partition("/")
    subjects = [f"repo:{form}:environment:{environment}" for form in (repository, f"{owner}@*/{name}@*")]
    return {"sub": subjects, **others}
