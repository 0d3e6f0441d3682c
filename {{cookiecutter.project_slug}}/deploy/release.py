"""Versions and the alias `live`: what is published, what is live, what came before it, and what may go."""

from __future__ import annotations

import re
import subprocess
{% if cookiecutter.cold_starts == 'snapstart' %}
import time
{% endif %}
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from deploy.aws import Aws, absent_is_none, at_once, error_code
from deploy.config import Service
{% if cookiecutter.cold_starts == 'snapstart' %}
from deploy.log_lines import recent_errors
{% endif %}
from deploy.problem import Problem
from deploy.resource import State, differences
from deploy.resources.function import ALIAS, Function

AWAKE = ("Active", "Inactive")  # which an idle version becomes after weeks; it wakes up when it is invoked
SAFE_AGE = timedelta(hours=1)  # a younger image may belong to a deploy that is under way elsewhere


@dataclass(frozen=True)
class Live:
    """What the alias says: its version and what that holds, the one that was live before, and the revision that guards
    its next move."""

    version: str
    holds: State = field(repr=False)
    previous: str | None
    revision: str

    def is_up_to_date(self, function: Function) -> bool:
        """Whether it holds just what the function should be."""
        return not differences(function.released(), self.holds)


def live(function: Function) -> Live | None:
    """What is live; None before the first release."""
    with absent_is_none("ResourceNotFoundException"):
        alias = function.aws.lambda_.get_alias(FunctionName=function.name, Name=ALIAS)
        version, previous = alias["FunctionVersion"], re.search(r"previous=(\d+)", alias.get("Description", ""))
        holds = function.read_version(version) or {}
        return Live(version, holds, previous[1] if previous else None, alias["RevisionId"])
    return None


def publish(service: Service, aws: Aws, function: Function, project: Path) -> str:
    """Publishes `$LATEST` and waits until it can be invoked. Lambda answers with the last version's number when nothing
    changed since that one was published. Raises Problem when it is not what this deploy made it."""
    name, latest = service.full_name, function.latest or function.settled()
    if differences(function.released(), latest):
        raise Problem(
            "Another deploy changed the function in the meantime; this one stopped.",
            "See ./deploy.sh status, then run it again.",
        )
{% if cookiecutter.cold_starts == 'snapstart' %}
    asked_s = time.time()
{% endif %}
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
                details=recent_errors(service, aws, asked_s),
            )
        snapshot = now.get("SnapStart", {})
        ready = snapshot.get("ApplyOn") != "PublishedVersions" or snapshot.get("OptimizationStatus") == "On"
        return now["State"] in AWAKE and ready
{% else %}
                "What was live still is. Correct what it names and deploy again.",
            )
        return now["State"] in AWAKE
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


def move_alias(service: Service, aws: Aws, version: str, *, previous: str | None, now: Live | None) -> None:
    """Points `live` at this version and records the one to go back to; raises Problem when somebody moved it since."""
    name = service.full_name
    if now is None:
        aws.lambda_.create_alias(FunctionName=name, Name=ALIAS, FunctionVersion=version)
        return
    try:
        aws.lambda_.update_alias(
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


def prune(service: Service, aws: Aws, *, keep: Collection[str | None]) -> str:
    """Keeps these versions, the newest `keep_releases`, whatever an alias uses, and their images."""
    name = service.full_name
    published, images = at_once(lambda: versions(service, aws), lambda: _images(service, aws))
    surplus = [version for version in published[: -service.keep_releases] if version not in keep]
    if surplus:
        aliased = _aliased(service, aws)
        surplus = [version for version in surplus if version not in aliased]
    for version in surplus:
        aws.lambda_.delete_function(FunctionName=name, Qualifier=version)
    unused = _unused(service, aws, images, [version for version in published if version not in surplus])
    for start in range(0, len(unused), 100):  # BatchDeleteImage takes 100
        digests = unused[start : start + 100]
        aws.ecr.batch_delete_image(repositoryName=name, imageIds=[{"imageDigest": digest} for digest in digests])
    removed = [f"{len(found)} {what}" for found, what in ((surplus, "versions"), (unused, "images")) if found]
    return f"{' and '.join(removed)} removed" if removed else "nothing to remove"


def describe(version: State) -> str:
    """`version 3 · commit 1a2b3c4 · published 2026-01-02 03:04 UTC`"""
    published = version["LastModified"][:16].replace("T", " ")
    facts = [f"version {version['Version']}", version.get("Description", ""), f"published {published} UTC"]
    return " · ".join(fact for fact in facts if fact)


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


def _images(service: Service, aws: Aws) -> list[Any]:
    pages = aws.ecr.get_paginator("describe_images").paginate(repositoryName=service.full_name)
    return [image for page in pages for image in page["imageDetails"]]


def _unused(service: Service, aws: Aws, images: list[Any], kept: list[str]) -> list[str]:
    if len(images) <= len(kept):
        return []
    function = Function(service, aws)
    states = [function.read_version(version) for version in ("$LATEST", *kept)]
    used = {state["ImageUri"].partition("@")[2] for state in states if state}
    old = datetime.now(UTC) - SAFE_AGE
    return [
        image["imageDigest"] for image in images if image["imageDigest"] not in used and image["imagePushedAt"] < old
    ]
