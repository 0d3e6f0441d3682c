"""The container image: its tag is the hash of what Docker is sent; an image that is there already is not built again."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deploy.aws import Aws, absent_is_none
from deploy.config import Service
from deploy.problem import Problem, UsageProblem

IMAGE_URI = re.compile(r"([^/]+/([a-z0-9][a-z0-9._/-]+))(?::([\w.-]{1,128})|@(sha256:[0-9a-f]{64}))?")
# Lambda takes a plain image and rejects an index ("image manifest media type not supported", docker/buildx#1533).
PLAIN_IMAGE = {
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
}
NOT_SENT = {"__pycache__", ".git", ".venv"}
DOCKER_ARCHITECTURE = {"arm64": "arm64", "x86_64": "amd64"}


def content_tag(project: Path, service: Service) -> str:
    """16 hex digits over the platform and every file that Docker would be sent, with its name and mode."""
    digest = hashlib.sha256(service.architecture.encode())
    for file in build_context(project):
        executable = os.access(file, os.X_OK)
        digest.update(f"\0{file.relative_to(project).as_posix()}\0{executable}\0".encode())
        content = os.readlink(file).encode() if file.is_symlink() else file.read_bytes()
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()[:16]


def build_context(project: Path) -> list[Path]:
    """What Docker is sent: the Dockerfile and what .dockerignore lets back in (`!app`); without `*` in it, all."""
    ignore = project / ".dockerignore"
    lines = ignore.read_text(encoding="utf-8").splitlines() if ignore.exists() else []
    let_in = [line[1:].strip("/") for line in lines if line.startswith("!")] if "*" in lines else ["*"]
    tops = [top for pattern in let_in for top in project.glob(pattern)]
    files = {project / "Dockerfile"} | {file for top in tops for file in [top, *top.rglob("*")]}
    return sorted(
        file
        for file in files
        if (file.is_symlink() or file.is_file()) and not NOT_SENT & {*file.relative_to(project).parts}
    )


def find(aws: Aws, service: Service, tag: str, given: str | None) -> str | None:
    """The URI, with digest, of the image that is given, or of the service's own with this tag; None when that is still
    to be built. Raises Problem for one that Lambda rejects, and when what is given is not there."""
    if given is not None:
        return _resolve(aws, given)
    with absent_is_none("RepositoryNotFoundException"):
        found = aws.ecr.describe_repositories(repositoryNames=[service.full_name])["repositories"][0]
        return _in_ecr(aws, found["repositoryUri"], service.full_name, {"imageTag": tag})
    return None


def _in_ecr(aws: Aws, uri: str, repository: str, image: Any) -> str | None:
    with absent_is_none("ImageNotFoundException", "RepositoryNotFoundException", "InvalidParameterException"):
        found = aws.ecr.describe_images(repositoryName=repository, imageIds=[image])["imageDetails"][0]
        check_media_type(found.get("imageManifestMediaType", ""))
        return f"{uri}@{found['imageDigest']}"
    return None


def check_media_type(media_type: str) -> None:
    """Raises Problem for one that Lambda rejects."""
    if media_type not in PLAIN_IMAGE:
        raise Problem(
            f"The image is a {media_type}, which Lambda does not take.",
            "Build it for one platform, without attestations: --provenance=false --sbom=false --platform linux/…",
        )


def _resolve(aws: Aws, uri: str) -> str:
    parts = IMAGE_URI.fullmatch(uri)
    if not parts:
        raise UsageProblem(f"{uri!r} is not the URI of an image in ECR.", "Give it as <registry>/<repository>:<tag>")
    name, repository, tag, digest = parts.groups()
    registry = f"{aws.account}.dkr.ecr.{aws.region}."
    if not name.startswith(registry):
        raise UsageProblem(f"{name} is not in this account's ECR in {aws.region}.", f"Push it to {registry}… first.")
    image = {"imageDigest": digest} if digest else {"imageTag": tag or "latest"}
    if found := _in_ecr(aws, name, repository, image):
        return found
    raise Problem(f"There is no image {uri} in ECR.", f"Push it to ECR in {aws.region} first, or leave --image out.")


def build(project: Path, service: Service, tag: str, *, debug: bool) -> None:
    """Builds the image, for the architecture of deploy.toml, and leaves it with the container engine."""
    architecture, name = DOCKER_ARCHITECTURE[service.architecture], f"{service.full_name}:{tag}"
    _docker(["build", "--platform", f"linux/{architecture}", "--tag", name, str(project)], debug=debug)
    built = json.loads(_docker(["image", "inspect", name], debug=False))[0]["Architecture"]
    if built != architecture:
        # The legacy builder ignores --platform without a word.
        raise Problem(
            f"Docker built the image for {built}, not for {service.architecture}.",
            "Install Docker's buildx plugin, or set architecture in deploy.toml to this machine's.",
        )


def push(aws: Aws, service: Service, tag: str, repository: str, *, debug: bool) -> str:
    """Pushes the image to this repository's URI and returns that with the digest that ECR gave it."""
    _docker(["tag", f"{service.full_name}:{tag}", f"{repository}:{tag}"], debug=False)
    with _signed_in(aws, registry=repository.partition("/")[0]) as environment:
        _docker(["push", f"{repository}:{tag}"], debug=debug, environment=environment)
    if pushed := _in_ecr(aws, repository, service.full_name, {"imageTag": tag}):
        return pushed
    raise Problem(f"ECR does not know {repository}:{tag} after its push.", "Run ./deploy.sh again.")


@contextmanager
def _signed_in(aws: Aws, registry: str) -> Iterator[dict[str, str]]:
    """Docker's configuration with a fresh ECR token, in a folder of its own: the user's own sign-ins stay untouched."""
    token = aws.ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    own = Path(os.environ.get("DOCKER_CONFIG", Path.home() / ".docker"))
    config = json.loads((own / "config.json").read_text(encoding="utf-8")) if (own / "config.json").exists() else {}
    for key in ("auths", "credsStore", "credHelpers"):
        config.pop(key, None)
    config["auths"] = {registry: {"auth": base64.b64encode(base64.b64decode(token)).decode()}}
    with tempfile.TemporaryDirectory(prefix="docker-config-") as folder:
        for part in ("contexts", "cli-plugins"):  # the engine in use and its plugins are found through these
            if (own / part).exists():
                try:
                    Path(folder, part).symlink_to(own / part)
                except OSError:  # Windows lets only administrators and developers
                    shutil.copytree(own / part, Path(folder, part))
        file = Path(folder, "config.json")
        file.touch(mode=0o600)
        file.write_text(json.dumps(config), encoding="utf-8")
        yield {"DOCKER_CONFIG": folder}


def _docker(arguments: list[str], *, debug: bool, environment: dict[str, str] | None = None) -> str:
    """What docker printed; raises Problem with its last lines when it fails."""
    if not shutil.which("docker"):
        raise Problem(
            "Docker is not installed, and the image has to be built.",
            "Install Docker (docs.docker.com/get-docker), or deploy a built one with --image.",
        )
    # Attestations off by the variable, because older builders do not know --provenance and --sbom.
    settings = {"DOCKER_BUILDKIT": "1", "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
    environment = os.environ | settings | (environment or {})
    done = subprocess.run(
        ["docker", *arguments], env=environment, capture_output=not debug, encoding="utf-8", errors="replace"
    )
    if done.returncode:
        said = f"{done.stdout or ''}{done.stderr or ''}".strip().splitlines()
        raise Problem(
            f"docker {arguments[0]} failed.",
            "Correct what docker names above; --debug shows all of its output.",
            details="\n".join(said[-20:]),
        )
    return done.stdout or ""
