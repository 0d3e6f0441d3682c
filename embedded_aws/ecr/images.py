"""Store images in the embedded ECR, and resolve the image URIs of functions."""

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from moto.ecr.models import ecr_backends

from embedded_aws.errors import invalid

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
ACCEPTED_MEDIA_TYPES = (DOCKER_MANIFEST, OCI_MANIFEST)


@dataclass(frozen=True)
class Image:
    """A container image as a launcher needs it.

    It has either a `task_root`, a folder to run in place, or a `reference` from which a container engine can pull.
    """

    digest: str
    architecture: str
    command: tuple[str, ...]
    task_root: Path | None = None
    reference: str = ""

    def with_command(self, command: list[str] | None) -> "Image":
        """Return the image with this command (ImageConfig.Command of the function), or unchanged if it is empty."""
        return replace(self, command=tuple(command)) if command else self


class Registry:
    """The images of the embedded ECR. moto stores the repositories and manifests."""

    def __init__(self, account: str) -> None:
        self._account = account
        self._by_digest: dict[str, Image] = {}

    def put(self, region: str, repository: str, tag: str | None, manifest: bytes, media_type: str, image: Image) -> str:
        """Store a manifest under the digest of its bytes, as registries do. Return the URI with the digest."""
        backend = ecr_backends[self._account][region]
        digest = "sha256:" + hashlib.sha256(manifest).hexdigest()
        images = backend.repositories[repository].images
        for other in images:  # a moved tag leaves the old image untagged; moto would delete it
            if tag in other.image_tags and other.get_image_digest() != digest:
                other.remove_tag(tag)
                other.image_tag = other.image_tags[-1] if other.image_tags else None  # type: ignore[assignment]
        existing = next((image for image in images if image.get_image_digest() == digest), None)
        if existing is None or (tag is not None and tag not in existing.image_tags):
            backend.put_image(repository, manifest.decode(), tag, media_type, digest)  # type: ignore[arg-type]
        self._by_digest[digest] = image
        return f"{self.uri(region, repository)}@{digest}"

    def push(
        self,
        region: str,
        repository: str,
        task_root: Path,
        command: list[str],
        architecture: str,
        tag: str | None = None,
        media_type: str = DOCKER_MANIFEST,
    ) -> str:
        """Store an image that runs this task root. Return its URI with the digest, which depends on the content."""
        backend = ecr_backends[self._account][region]
        if repository not in backend.repositories:
            backend.create_repository(repository, None, {}, None, "MUTABLE", [])
        layer = "sha256:" + _content_hash(task_root)
        config = json.dumps(
            {"architecture": _goarch(architecture), "os": "linux", "config": {"Cmd": command}, "layer": layer}
        )
        manifest: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": media_type,
            "config": {
                "mediaType": "application/vnd.docker.container.image.v1+json",
                "size": len(config),
                "digest": "sha256:" + hashlib.sha256(config.encode()).hexdigest(),
            },
            "layers": [{"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "size": 1, "digest": layer}],
        }
        body = json.dumps(manifest).encode()
        digest = "sha256:" + hashlib.sha256(body).hexdigest()
        image = Image(digest, architecture, tuple(command), task_root)
        return self.put(region, repository, tag, body, media_type, image)

    def resolve(self, region: str, uri: str) -> tuple[str, str]:
        """Return the digest of an image and its URI with the digest.

        Raise AwsError, as CreateFunction does, if the image does not exist or has an unsupported media type.
        """
        prefix = self.uri(region, "")
        if not uri.startswith(prefix):
            raise invalid(f"Source image {uri} is not valid. Provide a valid source image.")
        repository, at, digest = uri.removeprefix(prefix).partition("@")
        tag = ""
        if not at:
            repository, _, tag = repository.partition(":")
        image = self._find(region, repository, digest, tag or "latest")
        if image is None or is_archived(image) or image.get_image_digest() not in self._by_digest:
            raise invalid(f"Source image {uri} does not exist. Provide a valid source image.")
        if image.image_manifest_media_type not in ACCEPTED_MEDIA_TYPES:
            raise invalid(
                f"The image manifest, config or layer media type for the source image {uri} is not supported."
            )
        digest = image.get_image_digest()
        return digest, f"{prefix}{repository}@{digest}"

    def exists(self, region: str, digest_uri: str) -> bool:
        """Return True if the repository contains the image with this digest, and Lambda can pull it."""
        repository, _, digest = digest_uri.partition("/")[2].partition("@")
        image = self._find(region, repository, digest, "")
        return image is not None and not is_archived(image)

    def image(self, digest: str) -> Image:
        """Return the image with this digest."""
        return self._by_digest[digest]

    def uri(self, region: str, repository: str) -> str:
        """Return the URI of a repository."""
        return f"{self._account}.dkr.ecr.{region}.amazonaws.com/{repository}"

    def _find(self, region: str, repository_name: str, digest: str, tag: str) -> Any:
        """Return moto's image with this digest or, if the digest is empty, with this tag. Return None without one."""
        repository = ecr_backends[self._account][region].repositories.get(repository_name)
        for image in list(repository.images) if repository else []:
            if digest == image.get_image_digest() or (not digest and tag in image.image_tags):
                return image
        return None


def is_archived(image: Any) -> bool:
    """Return True if one of moto's images is in the storage class ARCHIVE. Such an image cannot be pulled.

    https://docs.aws.amazon.com/AmazonECR/latest/userguide/archive-image.html
    """
    return getattr(image, "image_status", "ACTIVE") == "ARCHIVED"


def _content_hash(root: Path) -> str:
    """Return the SHA-256 of the names and contents of all files."""
    content = hashlib.sha256()
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        content.update(f"{path.relative_to(root)}\0".encode())
        content.update(path.read_bytes())
    return content.hexdigest()


def _goarch(architecture: str) -> str:
    return {"x86_64": "amd64"}.get(architecture, architecture)
