"""Test that ./deploy.sh builds, pushes and runs real images. These tests need a container engine such as Docker."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from embedded_aws.containers.docker_aws import docker_aws
from embedded_aws.containers.docker_engine import docker
from embedded_aws.ecr.images import ACCEPTED_MEDIA_TYPES
from scripts import transcript
from scripts.projects import CHOICES, PYTHON_VERSIONS, TEMPLATE
from tests.support.bake import Bake
from tests.support.demo import DEMO, TRANSCRIPT, demo_environment, remaining_processes
from tests.support.deployed_stage import NAME

pytestmark = pytest.mark.usefixtures("engine")


def test_the_picture_in_the_readme_shows_the_demo(tmp_path: Path) -> None:
    output = run_demo(tmp_path)
    expected = transcript.mask_varying_parts(transcript.read_lines(transcript.PICTURE))
    assert transcript.mask_varying_parts(transcript.visible_lines(output)) == expected, "run make transcript"


def test_the_demo_of_many_options_leaves_no_processes_images_or_files(tmp_path: Path) -> None:
    name = "many-options"  # no other test has images and containers with this name
    answers = ["endpoint=http_api", "secrets=secrets_manager", "migrations=alembic"]
    output = run_demo(tmp_path, f"project_slug={name}", *answers, "cold_starts=provisioned_concurrency")
    assert re.search(TRANSCRIPT.replace("my-api", name), output), output
    assert re.search(r"\[1/7\] Building image\.\.\. +done \([\d.]+s\)", output)
    assert re.search(r"\[2/7\] Pushing to ECR\.\.\. +sha256:\w+… pushed \([\d.]+s\)", output)
    assert re.search(r"\[4/7\] Migrating database\.\.\. +empty → 0001", output)
    assert '{"items":[{"id":1,"name":"screw","quantity":3,' in output
    assert remaining_processes(tmp_path) == []
    assert os.listdir(tmp_path / "temporary") == []
    assert name not in docker("ps", "--all", "--format", "{{.Image}}") + docker("images")


def run_demo(folder: Path, *answers: str) -> str:
    """Run the demo with real containers, and return its output."""
    command = [*DEMO, "--engine", "docker", *answers]
    result = subprocess.run(command, cwd=TEMPLATE, env=demo_environment(folder), capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_the_registry_contains_the_image_that_ecr_lists_until_destroy(bake: Bake, engine: str, tmp_path: Path) -> None:
    project = bake(architecture=engine).copy(tmp_path)
    with docker_aws() as aws:
        project.run("./deploy.sh", env=aws.environ)
        (listed,) = aws.client("ecr").describe_images(repositoryName=NAME)["imageDetails"]
        assert listed["imageManifestMediaType"] in ACCEPTED_MEDIA_TYPES
        ((_, tag, _, media_type, image),) = aws.running.images()
        assert ([tag], media_type) == (listed["imageTags"], listed["imageManifestMediaType"])
        assert (image.digest, image.architecture) == (listed["imageDigest"], engine)

        before = len(aws.calls)
        project.run("./deploy.sh", env=aws.environ)
        assert [call.operation for call in aws.calls[before:] if call.mutating] == []
        destroy = ["/bin/sh", "-c", f"echo {NAME} | ./deploy.sh destroy"]
        assert "0 left" in project.run(destroy, env=aws.environ).stdout
        assert list(aws.running.images()) == []


def test_a_build_uses_the_newest_base_image_that_can_be_pulled(bake: Bake, engine: str, tmp_path: Path) -> None:
    project = bake(architecture=engine).copy(tmp_path)
    aws_base = PYTHON_VERSIONS[CHOICES["python_version"][0]]["base_image"]

    def push_base(version: str, base: str) -> str:
        """Push a base image with a label, and return its digest."""
        dockerfile = tmp_path / "base/Dockerfile"
        dockerfile.parent.mkdir(exist_ok=True)
        dockerfile.write_text(f"FROM {aws_base}\nLABEL base={version}\n", encoding="utf-8")
        docker("build", "--tag", base, str(dockerfile.parent))
        return str(re.findall(r"sha256:[0-9a-f]{64}", docker("--config", str(tmp_path / "config"), "push", base))[0])

    def deploy() -> tuple[str, str]:
        """Deploy another version of the code. Return the output and the version of the base image."""
        with (project.path / "app/main.py").open("a", encoding="utf-8") as file:
            file.write("# another version\n")
        known = {pushed.tag for pushed in aws.running.images()}
        variables = {**aws.environ, "DOCKER_CONFIG": str(tmp_path / "config")}
        output = project.run("./deploy.sh", env=variables).stdout
        (tag,) = {pushed.tag for pushed in aws.running.images()} - known
        return output, docker("image", "inspect", "--format", '{{ index .Config.Labels "base" }}', f"{NAME}:{tag}")

    with docker_aws() as aws:
        (tmp_path / "config").mkdir()
        (tmp_path / "config/config.json").write_text(aws.running.docker_config, encoding="utf-8")
        base = f"{aws.running.host}/base:1"
        push_base("old", base)
        docker("tag", base, "old-base")
        digest = push_base("new", base)
        docker("tag", "old-base", base)  # this machine has the older one
        try:
            for _ in ("the stage that builds", "the image"):
                project.edit("Dockerfile", aws_base, base)
            output, version = deploy()
            assert version == "new"
            assert "may be outdated" not in output

            aws.running.delete("base", digest)
            docker("tag", "old-base", base)
            output, version = deploy()
            assert version == "old"
            assert "\n      The base image may be outdated: docker build --pull failed: " in output
        finally:
            docker("rmi", "old-base", base)
