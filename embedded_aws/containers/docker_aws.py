"""Run the embedded AWS with Docker (ENGINE=docker): a container registry behind ECR, and functions in containers."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from moto.ecr.models import Repository, ecr_backends

from embedded_aws.calls import Call
from embedded_aws.containers.docker_engine import ContainerLauncher, docker
from embedded_aws.ecr.docker_registry import RunningRegistry, running_registry
from embedded_aws.ecr.images import Registry
from embedded_aws.moto_state import moto_lock
from embedded_aws.server import ACCOUNT, EmbeddedAws

CALLS_THAT_READ_IMAGES = {("lambda", "CreateFunction"), ("lambda", "UpdateFunctionCode")}
CALLS_THAT_DELETE_IMAGES = {("ecr", "BatchDeleteImage"), ("ecr", "DeleteRepository")}


@contextmanager
def docker_aws(**options: Any) -> Iterator["DockerAws"]:
    """Run an embedded AWS that takes pushed images and runs them in containers.

    `options` are arguments of EmbeddedAws. Raise EngineMissing if no registry is installed or if it does not start.
    """
    with running_registry("AWS", f"{ACCOUNT}-auth-token") as running:  # the password of moto's GetAuthorizationToken
        try:
            with DockerAws(running, **options) as aws, patch.object(Repository, "__init__", _new_repository(running)):
                yield aws
        finally:
            prefix = f"{running.host}/"
            for name in docker("images", "--format", "{{.Repository}}:{{.Tag}}").split():
                if name.startswith(prefix):  # remove the name with the registry and the local name
                    docker("rmi", name, name.removeprefix(prefix))


def _new_repository(running: RunningRegistry) -> Callable[..., None]:
    """Return a replacement of Repository.__init__ that sets the URI to an address of the running registry."""
    create = Repository.__init__

    def create_with_uri(repository: Repository, *args: Any, **kwargs: Any) -> None:
        create(repository, *args, **kwargs)
        repository.uri = f"{running.host}/{repository.name}"

    return create_with_uri


class DockerAws(EmbeddedAws):
    """An embedded AWS whose images are in a running registry and whose functions run in containers."""

    def __init__(self, running: RunningRegistry, **options: Any) -> None:
        self.running = running
        self._mirror = MirroredRegistry(running)
        self._images_before: dict[int, set[tuple[str, str]]] = {}  # before each deletion, by the number of the call
        super().__init__(launcher=ContainerLauncher(running), registry=self._mirror, **options)
        self.hook(self._mirror_images)

    @property
    def environ(self) -> dict[str, str]:
        """The variables of EmbeddedAws, and those with which docker finds the container engine."""
        engine = {name: value for name, value in os.environ.items() if name.startswith("DOCKER_")}
        return {**super().environ, **engine}

    def _mirror_images(self, call: Call, number: int, when: str) -> None:
        """Copy pushed images to ECR before each call that reads them, and deletions to the registry afterwards."""
        is_deletion = (call.service, call.operation) in CALLS_THAT_DELETE_IMAGES
        if when == "before":
            if call.service == "ecr" or (call.service, call.operation) in CALLS_THAT_READ_IMAGES:
                self._mirror.read(call.region)
            if is_deletion:
                self._images_before[number] = self._mirror.digests(call.region)
        elif is_deletion:
            self._mirror.delete_removed_images(call.region, self._images_before.pop(number))


class MirroredRegistry(Registry):
    """An embedded ECR with the images and the address of the running registry."""

    def __init__(self, running: RunningRegistry) -> None:
        super().__init__(ACCOUNT)
        self._running = running

    def uri(self, region: str, repository: str) -> str:
        """Return the URI of a repository, with the address of the running registry."""
        return f"{self._running.host}/{repository}"

    def read(self, region: str) -> None:
        """Store the images that were pushed to the running registry in the repositories of ECR."""
        images = list(self._running.images())  # without the lock, because these are HTTP requests
        with moto_lock:
            repositories = ecr_backends[ACCOUNT][region].repositories
            for name, tag, manifest, media_type, image in images:
                if name in repositories:
                    self.put(region, name, tag, manifest, media_type, image)

    def digests(self, region: str) -> set[tuple[str, str]]:
        """Return the repository and the digest of each image in ECR."""
        with moto_lock:
            return {
                (name, image.get_image_digest())
                for name, repository in ecr_backends[ACCOUNT][region].repositories.items()
                for image in repository.images
            }

    def delete_removed_images(self, region: str, before: set[tuple[str, str]]) -> None:
        """Delete the images from the running registry that were in ECR before a call, and are not there any more.

        Images that were pushed during the call stay.
        """
        for repository, digest in before - self.digests(region):
            self._running.delete(repository, digest)
