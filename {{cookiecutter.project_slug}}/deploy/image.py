"""The container image. Its tag is a hash of its content, so that an unchanged image is not built again."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
import time
from pathlib import Path
from typing import Any

from deploy.build_context import build_context
from deploy.container_engine import ContainerEngine, find_engine, signed_in
from deploy.errors import DeployError, UsageError, suppress_errors
from deploy.stage import Stage

IMAGE_URI = re.compile(r"([^/]+/([a-z0-9][a-z0-9._/-]+))(?::([\w.-]{1,128})|@(sha256:[0-9a-f]{64}))?")
# Lambda accepts a single image, and rejects an index ("image manifest media type not supported", docker/buildx#1533).
SINGLE_IMAGE = {
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
}
DOCKER_ARCHITECTURE = {"arm64": "arm64", "x86_64": "amd64"}
REBUILD = "-rebuilt-"  # between the hash of the content and the time at which the image was built again


def content_tag(stage: Stage, *, rebuild: bool = False) -> str:
    """Return 16 hex digits that depend on the architecture, and on the name, mode and content of every file.

    With `rebuild`, return a new tag for the same content.
    """
    digest = hashlib.sha256(stage.config.architecture.encode())
    for file in build_context(stage.project):
        executable = os.access(file, os.X_OK)
        digest.update(b"\0%s\0%d\0" % (os.fsencode(file.relative_to(stage.project).as_posix()), executable))
        content = os.fsencode(os.readlink(file)) if file.is_symlink() else file.read_bytes()
        digest.update(hashlib.sha256(content).digest())
    tag = digest.hexdigest()[:16]
    return _rebuilt(tag) if rebuild else tag


def _rebuilt(tag: str) -> str:
    return f"{tag}{REBUILD}{time.strftime('%Y%m%d%H%M%S', time.gmtime())}"


def list_images(stage: Stage) -> list[Any]:
    """Return ECR's details of the stage's images. Archived images are included, which ECR leaves out by default."""
    with suppress_errors("RepositoryNotFoundException"):
        every_status: Any = {"imageStatus": "ANY"}
        return stage.list_all("ecr", "describe_images", "imageDetails", repositoryName=stage.name, filter=every_status)
    return []


def find_built(stage: Stage, tag: str) -> tuple[str, str | None]:
    """Return the tag for an image with this content, and the digest of the newest one, or None if it has to be built.

    An image that was archived is built again, because ECR needs up to 20 minutes to restore it, and so is one that
    Lambda would reject. The new image needs another tag, because the other one keeps its own.
    """
    images = {name: image for image in list_images(stage) for name in image.get("imageTags", [])}
    matching = [name for name in images if name == tag or name.startswith(tag + REBUILD)]
    usable = [name for name in matching if is_usable(images[name])]
    if usable:
        return tag, str(images[max(usable)]["imageDigest"])  # the newest: the tag of a rebuilt image contains the time
    return _rebuilt(tag) if matching else tag, None


def is_archived(image: Any) -> bool:
    """Return True if Lambda cannot pull an image, from ECR's details of it, until it is restored."""
    return bool(image.get("imageStatus", "ACTIVE") != "ACTIVE")  # ARCHIVED, or ACTIVATING while it is restored


def is_usable(image: Any) -> bool:
    """Return True if Lambda can pull and use an image, from ECR's details of it."""
    return not is_archived(image) and image.get("imageManifestMediaType") in SINGLE_IMAGE


def archived_hint(stage: Stage, uri: str) -> str | None:
    """Return what to do if an image of the stage is archived, or None if it is not. `uri` contains its digest."""
    digest = uri.rpartition("@")[2]
    if any(is_archived(image) for image in list_images(stage) if image["imageDigest"] == digest):
        return (
            "Its image is archived in ECR. Restore it, which takes up to 20 minutes: aws ecr update-image-storage-class "
            f"--repository-name {stage.name} --image-id imageDigest={digest} --target-storage-class STANDARD"
        )
    return None


def find_requested(stage: Stage, uri: str) -> str:
    """Return the URI, with its digest, of an image in ECR. Raise DeployError if it does not exist or Lambda would reject it."""
    parts = IMAGE_URI.fullmatch(uri)
    if not parts:
        raise UsageError(
            f"{uri!r} is not the URI of an image in ECR.",
            "Use <registry>/<repository>:<tag> or <registry>/<repository>@<digest>",
        )
    name, repository, tag, digest = parts.groups()
    registry = f"{stage.account}.dkr.ecr.{stage.config.region}."
    if not name.startswith(registry):
        raise UsageError(
            f"{name} is not in the ECR registry of this account and Region.", f"Push the image to {registry}… first."
        )
    image: Any = {"imageDigest": digest} if digest else {"imageTag": tag or "latest"}
    if found := _describe(stage, name, repository, image):
        return found
    raise DeployError(
        f"The image {uri} does not exist, or it is archived.",
        f"Push it to ECR in {stage.config.region} or restore it first, or leave out --image.",
    )


def _describe(stage: Stage, uri: str, repository: str, image: Any) -> str | None:
    """Return the URI with the digest of an image, or None if it does not exist or is archived.

    Raise DeployError if Lambda would reject it.
    """
    ecr = stage.client("ecr")
    with suppress_errors("RepositoryNotFoundException", "ImageNotFoundException", "InvalidParameterException"):
        details = ecr.describe_images(repositoryName=repository, imageIds=[image])["imageDetails"][0]
        check_media_type(details.get("imageManifestMediaType", ""))
        return None if is_archived(details) else f"{uri}@{details['imageDigest']}"
    return None


def check_media_type(media_type: str) -> None:
    """Raise DeployError for a media type that Lambda rejects."""
    if media_type not in SINGLE_IMAGE:
        raise DeployError(
            f"The image has the media type {media_type}, which Lambda does not accept.",
            "Build it for one platform and without attestations: --provenance=false --sbom=false --platform linux/…",
        )


def build(stage: Stage, tag: str, *, rebuild: bool = False) -> str | None:
    """Build the image for the architecture in deploy.toml, on the newest base image.

    If that cannot be pulled, use the base image of this machine, and return a note about it. With `rebuild`, do not use
    the cache, and fail if the base image cannot be pulled.
    """
    engine, name, folder = find_engine(stage), f"{stage.name}:{tag}", str(stage.project)
    note = None
    try:
        _build(stage, engine, name, folder, "--pull", *(["--no-cache"] if rebuild else []))
    except DeployError as error:
        if rebuild:
            raise
        _build(stage, engine, name, folder)  # reports the error if the base image was not the reason
        reason = error.details.rpartition("\n")[2] or "see above"
        note = f"The base image may be outdated: {engine.name} build --pull failed: {reason}"
    _check_architecture(stage, engine, name)
    return note


def _build(stage: Stage, engine: ContainerEngine, name: str, folder: str, *options: str) -> None:
    platform = f"linux/{DOCKER_ARCHITECTURE[stage.config.architecture]}"
    engine.run("build", *options, "--platform", platform, "--tag", name, folder, show=True)


def _check_architecture(stage: Stage, engine: ContainerEngine, name: str) -> None:
    """Raise DeployError if an image was built for another architecture. Docker's legacy builder ignores --platform."""
    output = engine.run("image", "inspect", name)
    try:
        built_for = json.loads(output)[0]["Architecture"]
    except (ValueError, LookupError, TypeError):
        raise DeployError(
            f"The output of {engine.name} image inspect {name} contains no architecture.",
            f"Run that command, and fix the error that {engine.name} reports.",
            details=output[:300],
        ) from None
    if built_for != DOCKER_ARCHITECTURE[stage.config.architecture]:
        install = "Install Docker's buildx plugin, or set" if engine.name == "docker" else "Set"
        raise DeployError(
            f"{engine.name.title()} built the image for {built_for} instead of {stage.config.architecture}.",
            f"{install} architecture in deploy.toml to that of this machine.",
        )


def push(stage: Stage, tag: str, repository: str) -> str:
    """Push the image to the repository with this URI, and return the URI with the digest of the image in ECR."""
    engine = find_engine(stage)
    engine.run("tag", f"{stage.name}:{tag}", f"{repository}:{tag}")
    token = stage.client("ecr").get_authorization_token()["authorizationData"][0]["authorizationToken"]
    with signed_in(repository.partition("/")[0], token) as environment:
        engine.run("push", f"{repository}:{tag}", show=True, environment=environment)
    if pushed := _describe(stage, repository, stage.name, {"imageTag": tag}):
        return pushed
    raise DeployError(f"{repository}:{tag} was pushed, but it is not in ECR.", "Run ./deploy.sh again.")


def check_engine(stage: Stage) -> str:
    """Build an empty image as a deploy would, and return what can be built. Raise DeployError with the engine's message."""
    engine, name = find_engine(stage), f"{stage.name}:check"
    with tempfile.TemporaryDirectory(prefix="empty-image-") as folder:
        Path(folder, "Dockerfile").write_text("FROM scratch\nLABEL purpose=check\n", encoding="utf-8")
        _build(stage, engine, name, folder)
        _check_architecture(stage, engine, name)
        engine.run("image", "rm", name)
    return f"{engine.name} builds for {stage.config.architecture}"
