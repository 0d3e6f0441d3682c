"""Versions and the alias `live`: what is published, what is live, what came before it, and what may go."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from botocore.exceptions import ClientError

from deploy.aws import Aws, absent_is_none, error_code
from deploy.config import Service
from deploy.problem import Problem
from deploy.resource import differences
from deploy.resources.function import ALIAS, Function

SAFE_AGE = timedelta(hours=1)  # a younger image may belong to a deploy that is under way elsewhere


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


def is_live(function: Function, now: Live | None) -> bool:
    """Whether the version that is live holds just what the function should be."""
    held = function.read_version(now.version) if now else None
    return held is not None and not differences(function.released(), held)


def publish(service: Service, aws: Aws, function: Function, project: Path) -> str:
    """Publishes `$LATEST` and waits until it can be invoked. Lambda answers with the last version's number when nothing
    changed since that one was published. Raises Problem when it is not what this deploy made it."""
    name, latest = service.full_name, function.read() or {}
    if differences(function.released(), latest):
        raise Problem(
            "Another deploy changed the function in the meantime; this one stopped.",
            "See ./deploy.sh status, then run it again.",
        )
    version = aws.lambda_.publish_version(
        FunctionName=name,
        CodeSha256=latest["CodeSha256"],
        RevisionId=latest["RevisionId"],
        Description=_commit(project),
    )["Version"]

    def active() -> bool:
        now = aws.lambda_.get_function_configuration(FunctionName=name, Qualifier=version)
        if now["State"] == "Failed":
{% if cookiecutter.cold_starts == 'snapstart' %}
            aws.lambda_.delete_function(FunctionName=name, Qualifier=version)  # or it is published again
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


def _commit(project: Path) -> str:
    """`commit 1a2b3c4`, with `+changes` when the tree was not clean; empty outside git."""

    def git(*arguments: str) -> str:
        try:
            return subprocess.run(["git", *arguments], cwd=project, capture_output=True, text=True).stdout.strip()
        except FileNotFoundError:
            return ""

    commit = git("rev-parse", "--short", "HEAD")
    return f"commit {commit}{'+changes' if git('status', '--porcelain') else ''}" if commit else ""


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
            RoutingConfig={"AdditionalVersionWeights": {}},  # all of it: no part stays with what somebody put beside it
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


def prune(service: Service, aws: Aws, now: Live) -> str:
    """Keeps the newest `keep_releases` versions, whatever an alias uses, the one to go back to, and their images."""
    name, published = service.full_name, versions(service, aws)
    surplus = [version for version in published[: -service.keep_releases] if version not in (now.version, now.previous)]
    if surplus:
        aliased = _aliased(service, aws)
        surplus = [version for version in surplus if version not in aliased]
    for version in surplus:
        aws.lambda_.delete_function(FunctionName=name, Qualifier=version)
    images = _unused_images(service, aws, [version for version in published if version not in surplus])
    for start in range(0, len(images), 100):  # BatchDeleteImage takes 100
        digests = images[start : start + 100]
        aws.ecr.batch_delete_image(repositoryName=name, imageIds=[{"imageDigest": digest} for digest in digests])
    removed = [f"{len(found)} {what}" for found, what in ((surplus, "versions"), (images, "images")) if found]
    return f"{' and '.join(removed)} removed" if removed else "nothing to remove"


def versions(service: Service, aws: Aws) -> list[str]:
    """The numbers of all that are published, oldest first."""
    pages = aws.lambda_.get_paginator("list_versions_by_function").paginate(FunctionName=service.full_name)
    numbers = [version["Version"] for page in pages for version in page["Versions"]]
    return sorted((number for number in numbers if number != "$LATEST"), key=int)


def _aliased(service: Service, aws: Aws) -> set[str]:
    used: set[str] = set()
    for page in aws.lambda_.get_paginator("list_aliases").paginate(FunctionName=service.full_name):
        for alias in page["Aliases"]:
            used |= {alias["FunctionVersion"], *alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})}
    return used


def _unused_images(service: Service, aws: Aws, kept: list[str]) -> list[str]:
    pages = aws.ecr.get_paginator("describe_images").paginate(repositoryName=service.full_name)
    images = [image for page in pages for image in page["imageDetails"]]
    if len(images) <= len(kept):
        return []
    function = Function(service, aws)
    states = [function.read_version(version) for version in ("$LATEST", *kept)]
    used = {state["ImageUri"].partition("@")[2] for state in states if state}
    old = datetime.now(UTC) - SAFE_AGE
    return [
        image["imageDigest"] for image in images if image["imageDigest"] not in used and image["imagePushedAt"] < old
    ]
