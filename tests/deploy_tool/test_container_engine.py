"""Does the project's own ./deploy.sh build, push and run real images where there is a container engine?"""

import os
import re
import subprocess
from pathlib import Path

import pytest

from embedded_aws.containers.docker_aws import docker_aws
from embedded_aws.containers.docker_engine import docker
from embedded_aws.ecr.images import ACCEPTED_MEDIA_TYPES
from scripts import transcript
from scripts.projects import TEMPLATE
from tests.support.bake import Bake
from tests.support.demo import DEMO, TRANSCRIPT, demo_environment, remaining_processes

pytestmark = pytest.mark.usefixtures("engine")


def test_the_picture_in_the_readme_shows_the_demo(tmp_path: Path) -> None:
    command = [*DEMO, "--engine", "docker"]
    done = subprocess.run(command, cwd=TEMPLATE, env=demo_environment(tmp_path), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    pictured = transcript.mask_varying_parts(transcript.read_lines(transcript.PICTURE))
    assert transcript.mask_varying_parts(transcript.visible_lines(done.stdout)) == pictured, "make transcript"


def test_demo_of_many_options(tmp_path: Path) -> None:
    name = "many-options"  # by which its images and containers can be told from those of other tests
    answers = [f"project_slug={name}", "endpoint=http_api", "secrets=secrets_manager", "migrations=alembic"]
    command = [*DEMO, "--engine", "docker", *answers, "cold_starts=provisioned_concurrency"]
    done = subprocess.run(command, cwd=TEMPLATE, env=demo_environment(tmp_path), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(TRANSCRIPT.replace("my-api", name), done.stdout), done.stdout
    assert re.search(r"\[1/7\] Building image\.\.\. +done \([\d.]+s\)", done.stdout)
    assert re.search(r"\[2/7\] Pushing to ECR\.\.\. +sha256:\w+… pushed \([\d.]+s\)", done.stdout)
    assert re.search(r"\[4/7\] Migrating database\.\.\. +empty → 0001", done.stdout)
    assert '{"items":[{"id":1,"name":"screw","quantity":3,' in done.stdout
    assert remaining_processes(tmp_path) == []
    assert os.listdir(tmp_path / "temporary") == []
    assert name not in docker("ps", "--all", "--format", "{{.Image}}") + docker("images")


def test_registry_holds_what_ecr_says_until_destroy(bake: Bake, engine: str, tmp_path: Path) -> None:
    project = bake(architecture=engine).copy(tmp_path)
    with docker_aws() as aws:
        project.run("./deploy.sh", env=aws.environ)
        (found,) = aws.client("ecr").describe_images(repositoryName="my-api-prod")["imageDetails"]
        assert found["imageManifestMediaType"] in ACCEPTED_MEDIA_TYPES
        ((_, tag, _, media_type, pushed),) = aws.running.images()
        assert ([tag], media_type) == (found["imageTags"], found["imageManifestMediaType"])
        assert (pushed.digest, pushed.architecture) == (found["imageDigest"], engine)

        before = len(aws.calls)
        project.run("./deploy.sh", env=aws.environ)
        assert [call.operation for call in aws.calls[before:] if call.mutating] == []
        destroy = ["/bin/sh", "-c", "echo my-api-prod | ./deploy.sh destroy"]
        assert "0 left" in project.run(destroy, env=aws.environ).stdout
        assert list(aws.running.images()) == []
