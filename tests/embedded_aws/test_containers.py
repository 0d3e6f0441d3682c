"""Test the container registry behind ECR, and containers, without a container engine."""

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from embedded_aws.clock import ManualClock
from embedded_aws.containers.docker_aws import DockerAws
from embedded_aws.containers.docker_engine import Container
from embedded_aws.ecr.docker_registry import PushedImage
from embedded_aws.ecr.images import DOCKER_MANIFEST, Image
from tests.support.sample_queue import wait_until

DOCKER = """\
#!/bin/sh
case "$1" in
    run) echo $$ > client; exec sleep 60 ;;
    rm) kill -0 "$(cat client)" 2> errors || echo "$3 without its client" > removed ;;
esac
"""


class FakeRegistry:
    """A registry that stores its images in this process."""

    host = "127.0.0.1:1"

    def __init__(self) -> None:
        self.pushed: list[PushedImage] = []

    def push(self, repository: str, tag: str) -> None:
        """Add an image whose manifest is its tag."""
        manifest = f'{{"tag": "{tag}"}}'.encode()
        digest = "sha256:" + hashlib.sha256(manifest).hexdigest()
        image = Image(digest, "x86_64", ("handler",), reference="unused")
        self.pushed.append(PushedImage(repository, tag, manifest, DOCKER_MANIFEST, image))

    def images(self) -> list[PushedImage]:
        """Return all images."""
        return self.pushed

    def delete(self, repository: str, digest: str) -> None:
        """Delete an image."""
        self.pushed = [image for image in self.pushed if (image.repository, image.image.digest) != (repository, digest)]


def test_deleting_an_image_keeps_images_that_are_pushed_in_the_meantime() -> None:
    registry: Any = FakeRegistry()
    with DockerAws(registry, clock=ManualClock()) as aws:
        ecr = aws.client("ecr")
        ecr.create_repository(repositoryName="app")
        for tag in ("one", "two"):
            registry.push("app", tag)
        aws.hook(lambda call, number, when: registry.push("app", "new") if when == "before" else None)
        ecr.batch_delete_image(repositoryName="app", imageIds=[{"imageTag": "one"}])
        assert [image.tag for image in registry.images()] == ["two", "new"]


def test_deleting_a_repository_deletes_its_images_from_the_registry() -> None:
    registry: Any = FakeRegistry()
    with DockerAws(registry, clock=ManualClock()) as aws:
        for name in ("app", "team/app"):
            aws.client("ecr").create_repository(repositoryName=name)
            registry.push(name, "one")
        aws.client("ecr").delete_repository(repositoryName="app", force=True)
        assert [image.repository for image in registry.images()] == ["team/app"]


def test_a_killed_container_is_removed_after_its_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "docker"
    program.write_text(DOCKER)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.chdir(tmp_path)
    container = Container(["docker", "run"])
    container.name = "environment"
    client = tmp_path / "client"
    wait_until(lambda: client.exists() and client.read_text())
    container.kill()
    assert (tmp_path / "removed").read_text() == "environment without its client\n"
