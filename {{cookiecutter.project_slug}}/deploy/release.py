"""Versions and the alias `live`: what is published, what is live, what came before it."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from botocore.exceptions import ClientError

from deploy.aws import Aws, absent_is_none, error_code
from deploy.config import Service
from deploy.problem import Problem
from deploy.resources.function import ALIAS, Function


@dataclass(frozen=True)
class Live:
    """What the alias says: its version, the one that was live before, and the revision that guards its next move."""

    version: str
    previous: str | None
    revision: str


def live(service: Service, aws: Aws) -> Live | None:
    """What is live; None before the first release."""
    with absent_is_none("ResourceNotFoundException"):
        alias = aws.lambda_.get_alias(FunctionName=service.full_name, Name=ALIAS)
        previous = re.search(r"previous=(\d+)", alias.get("Description", ""))
        return Live(alias["FunctionVersion"], previous[1] if previous else None, alias["RevisionId"])
    return None


def publish(service: Service, aws: Aws, project: Path) -> str:
    """Publishes what `$LATEST` is and waits until it can be invoked. Lambda answers with the last version's number
    when nothing changed since that one was published."""
    latest = aws.lambda_.get_function_configuration(FunctionName=service.full_name)
    version = aws.lambda_.publish_version(
        FunctionName=service.full_name,
        CodeSha256=latest["CodeSha256"],
        RevisionId=latest["RevisionId"],
        Description=_commit(project),
    )["Version"]

    def active() -> bool:
        now = aws.lambda_.get_function_configuration(FunctionName=service.full_name, Qualifier=version)
        if now["State"] == "Failed":
{% if cookiecutter.cold_starts == 'snapstart' %}
            aws.lambda_.delete_function(FunctionName=service.full_name, Qualifier=version)  # or it is published again
{% endif %}
            raise Problem(
                f"Lambda could not prepare version {version}: {now.get('StateReason', 'no reason given')}",
{% if cookiecutter.cold_starts == 'snapstart' %}
                "What was live still is. If INIT failed, ./deploy.sh logs --errors says why; correct it and deploy again.",
            )
        snapshot = now.get("SnapStart", {})
        ready = snapshot.get("ApplyOn") != "PublishedVersions" or snapshot.get("OptimizationStatus") == "On"
        return now["State"] == "Active" and ready
{% else %}
                "What was live still is. Correct what it names and deploy again.",
            )
        return now["State"] == "Active"
{% endif %}

{% if cookiecutter.cold_starts == 'snapstart' %}
    aws.wait(f"preparing version {version}", active, timeout_s=900)  # INIT, and some minutes for its snapshot
{% else %}
    aws.wait(f"preparing version {version}", active)
{% endif %}
    return version


def move_alias(service: Service, aws: Aws, version: str, *, previous: str | None, now: Live | None) -> Live:
    """Points `live` at this version and records the one to go back to; raises Problem when somebody moved it since."""
    name = service.full_name
    if now is None:
        made = aws.lambda_.create_alias(FunctionName=name, Name=ALIAS, FunctionVersion=version)
        return Live(version, None, made["RevisionId"])
    try:
        moved = aws.lambda_.update_alias(
            FunctionName=name,
            Name=ALIAS,
            FunctionVersion=version,
            Description=f"previous={previous}" if previous else "",
            RevisionId=now.revision,
        )
    except ClientError as error:
        if error_code(error) != "PreconditionFailedException":
            raise
        raise Problem(
            "Another deploy moved what is live in the meantime; this one stopped.",
            "See ./deploy.sh status, then run it again.",
        ) from None
    return Live(version, previous, moved["RevisionId"])


def is_live(function: Function, now: Live | None) -> bool:
    """Whether the version that is live holds just what the function should be."""
    if now is None:
        return False
    actual = function.read_version(now.version) or {}
    return all(actual.get(key) == value for key, value in function.released().items())


def _commit(project: Path) -> str:
    """`commit 1a2b3c4`, with `+changes` when the tree was not clean; empty outside git."""

    def git(*arguments: str) -> str:
        try:
            done = subprocess.run(["git", *arguments], cwd=project, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            return ""
        return done.stdout.strip() if done.returncode == 0 else ""

    commit = git("rev-parse", "--short", "HEAD")
    return f"commit {commit}{'+changes' if git('status', '--porcelain') else ''}" if commit else ""
