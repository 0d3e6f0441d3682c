"""The container image. Its tag is a hash of its content, so that an unchanged image is not built again."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deploy.build_context import build_context
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
    return digest.hexdigest()[:16] + (f"{REBUILD}{time.strftime('%Y%m%d%H%M%S', time.gmtime())}" if rebuild else "")


def find_built(stage: Stage, tag: str) -> str | None:
    """Return the digest of the newest image with this content, or None if the image has to be built.

    Raise DeployError if Lambda would reject the image.
    """
    with suppress_errors("RepositoryNotFoundException"):
        details = stage.list_all("ecr", "describe_images", "imageDetails", repositoryName=stage.name)
        images = {name: image for image in details for name in image.get("imageTags", [])}
        matching = [name for name in images if name == tag or name.startswith(tag + REBUILD)]
        if matching:
            image = images[max(matching)]  # the newest: the tag of a rebuilt image contains the time
            check_media_type(image.get("imageManifestMediaType", ""))
            return str(image["imageDigest"])
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
        f"The image {uri} does not exist.", f"Push it to ECR in {stage.config.region} first, or leave out --image."
    )


def _describe(stage: Stage, uri: str, repository: str, image: Any) -> str | None:
    """Return the URI with the digest of an image, or None if it does not exist."""
    ecr = stage.client("ecr")
    with suppress_errors("RepositoryNotFoundException", "ImageNotFoundException", "InvalidParameterException"):
        details = ecr.describe_images(repositoryName=repository, imageIds=[image])["imageDetails"][0]
        check_media_type(details.get("imageManifestMediaType", ""))
        return f"{uri}@{details['imageDigest']}"
    return None


def check_media_type(media_type: str) -> None:
    """Raise DeployError for a media type that Lambda rejects."""
    if media_type not in SINGLE_IMAGE:
        raise DeployError(
            f"The image has the media type {media_type}, which Lambda does not accept.",
            "Build it for one platform and without attestations: --provenance=false --sbom=false --platform linux/…",
        )


def build(stage: Stage, tag: str, *, rebuild: bool = False) -> None:
    """Build the image for the architecture in deploy.toml. With `rebuild`, use the latest base image and no cache."""
    _build(stage, f"{stage.name}:{tag}", str(stage.project), *(["--pull", "--no-cache"] if rebuild else []))


def _build(stage: Stage, name: str, folder: str, *options: str) -> None:
    architecture = DOCKER_ARCHITECTURE[stage.config.architecture]
    run_docker(["build", *options, "--platform", f"linux/{architecture}", "--tag", name, folder], stage.debug)
    built_for = json.loads(run_docker(["image", "inspect", name]))[0]["Architecture"]
    if built_for != architecture:  # the legacy builder ignores --platform
        raise DeployError(
            f"Docker built the image for {built_for} instead of {stage.config.architecture}.",
            "Install Docker's buildx plugin, or set architecture in deploy.toml to that of this machine.",
        )


def push(stage: Stage, tag: str, repository: str) -> str:
    """Push the image to the repository with this URI, and return the URI with the digest of the image in ECR."""
    run_docker(["tag", f"{stage.name}:{tag}", f"{repository}:{tag}"])
    with _signed_in(stage, registry=repository.partition("/")[0]) as environment:
        run_docker(["push", f"{repository}:{tag}"], stage.debug, environment)
    if pushed := _describe(stage, repository, stage.name, {"imageTag": tag}):
        return pushed
    raise DeployError(f"{repository}:{tag} was pushed, but it is not in ECR.", "Run ./deploy.sh again.")


@contextmanager
def _signed_in(stage: Stage, registry: str) -> Iterator[dict[str, str]]:
    """Yield variables that sign Docker in to ECR, with a temporary folder for its configuration.

    The user's own configuration does not change. The temporary one links to the contexts and plugins of the user.
    """
    token = stage.client("ecr").get_authorization_token()["authorizationData"][0]["authorizationToken"]
    user_folder = Path(os.environ.get("DOCKER_CONFIG") or Path("~/.docker").expanduser())
    config = _read_docker_config(user_folder / "config.json")
    for key in ("auths", "credsStore", "credHelpers"):
        config.pop(key, None)
    config["auths"] = {registry: {"auth": base64.b64encode(base64.b64decode(token)).decode()}}
    with tempfile.TemporaryDirectory(prefix="docker-config-") as folder:
        for name in ("contexts", "cli-plugins"):
            if (user_folder / name).exists():
                try:
                    Path(folder, name).symlink_to(user_folder / name)
                except OSError:  # on Windows, only administrators and developers may create links
                    shutil.copytree(user_folder / name, Path(folder, name))
        file = Path(folder, "config.json")
        file.touch(mode=0o600)
        file.write_text(json.dumps(config), encoding="utf-8")
        yield {"DOCKER_CONFIG": folder}


def _read_docker_config(file: Path) -> dict[str, Any]:
    """Return the content of Docker's configuration file. Like Docker, accept one that is empty."""
    try:
        text = file.read_text(encoding="utf-8-sig")
        return dict(json.loads(text)) if text.strip() else {}
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError) as error:
        raise DeployError(
            f"{file} is not valid JSON: {error}.", "Correct the file, or delete it and sign in again."
        ) from None


def run_docker(args: list[str], debug: bool = False, environment: dict[str, str] | None = None) -> str:
    """Run docker and return its output, or print it with `debug`. Raise DeployError with its last lines if it fails."""
    if not shutil.which("docker"):
        raise DeployError(
            "Docker is not installed. It is needed to build the image.",
            "Install Docker (docs.docker.com/get-docker), or deploy an existing image with --image.",
        )
    # Attestations are disabled with a variable because older builders do not support --provenance and --sbom.
    settings = {"DOCKER_BUILDKIT": "1", "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
    result = subprocess.run(
        ["docker", *args],
        env=os.environ | settings | (environment or {}),
        capture_output=not debug,
        encoding="utf-8",
        errors="replace",
    )
    if result.returncode:
        output = f"{result.stdout or ''}{result.stderr or ''}".strip()
        hint = "Fix the error that docker reports above. --debug shows its complete output."
        if "toomanyrequests" in output:  # aws/aws-lambda-web-adapter#595
            sign_in = "aws ecr-public get-login-password --region us-east-1"
            hint = f"Sign in to ECR Public: {sign_in} | docker login --username AWS --password-stdin public.ecr.aws"
        details = "\n".join(output.splitlines()[-20:])
        raise DeployError(f"docker {args[0]} failed.", hint, details=details)
    return result.stdout or ""


def check_engine(stage: Stage) -> str:
    """Build an empty image as a deploy would, and return what can be built. Raise DeployError with docker's own message."""
    with tempfile.TemporaryDirectory(prefix="empty-image-") as folder:
        Path(folder, "Dockerfile").write_text("FROM scratch\nLABEL purpose=check\n", encoding="utf-8")
        name = f"{stage.name}:check"
        _build(stage, name, folder)
        run_docker(["image", "rm", name])
    return f"builds for {stage.config.architecture}"
