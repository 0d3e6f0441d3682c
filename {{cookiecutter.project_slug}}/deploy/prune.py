"""Removes versions and images that no kept release uses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from deploy.aws import Aws
from deploy.config import Service
from deploy.release import Live
from deploy.resources.function import Function

if TYPE_CHECKING:
    from mypy_boto3_ecr.type_defs import ImageDetailTypeDef

SAFE_AGE = timedelta(hours=1)  # a younger image may belong to a deploy that is under way elsewhere


def prune(service: Service, aws: Aws, now: Live) -> str:
    """Keeps the newest `keep_releases` versions, whatever an alias uses, and the one to go back to."""
    versions = _versions(service, aws)
    surplus = [version for version in versions[: -service.keep_releases] if version not in (now.version, now.previous)]
    if surplus:
        aliased = _aliased(service, aws)
        surplus = [version for version in surplus if version not in aliased]
    for version in surplus:
        aws.lambda_.delete_function(FunctionName=service.full_name, Qualifier=version)
    images = _unused_images(service, aws, set(versions) - set(surplus))
    for start in range(0, len(images), 100):  # BatchDeleteImage takes 100
        aws.ecr.batch_delete_image(
            repositoryName=service.full_name,
            imageIds=[{"imageDigest": digest} for digest in images[start : start + 100]],
        )
    removed = [f"{len(found)} {what}" for found, what in ((surplus, "versions"), (images, "images")) if found]
    return f"{' and '.join(removed)} removed" if removed else "nothing to remove"


def _versions(service: Service, aws: Aws) -> list[str]:
    pages = aws.lambda_.get_paginator("list_versions_by_function").paginate(FunctionName=service.full_name)
    numbers = [version["Version"] for page in pages for version in page["Versions"]]
    return sorted((number for number in numbers if number != "$LATEST"), key=int)


def _aliased(service: Service, aws: Aws) -> set[str]:
    used: set[str] = set()
    for page in aws.lambda_.get_paginator("list_aliases").paginate(FunctionName=service.full_name):
        for alias in page["Aliases"]:
            used |= {alias["FunctionVersion"], *alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})}
    return used


def _unused_images(service: Service, aws: Aws, kept: set[str]) -> list[str]:
    pages = aws.ecr.get_paginator("describe_images").paginate(repositoryName=service.full_name)
    images: list[ImageDetailTypeDef] = [image for page in pages for image in page["imageDetails"]]
    if len(images) <= len(kept):
        return []
    function = Function(service, aws)
    states = [function.read_version(version) for version in ("$LATEST", *sorted(kept))]
    used = {state["image"].partition("@")[2] for state in states if state}
    old = datetime.now(UTC) - SAFE_AGE
    return [
        image["imageDigest"] for image in images if image["imageDigest"] not in used and image["imagePushedAt"] < old
    ]
