"""Test that ./deploy.sh builds and pushes with Podman on a machine without Docker. The function runs in Docker."""

import os
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedded_aws.containers.docker_aws import DockerAws, docker_aws
from embedded_aws.ecr.images import OCI_MANIFEST
from scripts.projects import CHOICES, PYTHON_VERSIONS, Project
from tests.support.bake import Bake
from tests.support.deployed_stage import NAME

BASE_IMAGE = str(PYTHON_VERSIONS[CHOICES["python_version"][0]]["base_image"])
TOOLS = (
    "cat",
    "cmp",
    "dirname",
    "git",
    "readlink",
    "sh",
    "uname",
)  # what deploy.sh and the shell scripts of Podman need


@pytest.fixture(scope="module")
def podman() -> str:
    """Return the path of Podman. Skip the test if it cannot build the image of a project."""
    path = shutil.which("podman")
    reason = "podman is not installed"
    if path:
        command = [path, "run", "--rm", "--network", "host", "--entrypoint", "/bin/true", BASE_IMAGE]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode == 0:
            return path
        reason = f"podman cannot run {BASE_IMAGE}: {result.stderr.strip()[-200:]}"
    warnings.warn(f"deploys with Podman are NOT tested on this machine: {reason}", stacklevel=1)
    pytest.skip(reason)


@pytest.fixture
def aws(engine: str) -> Iterator[DockerAws]:
    with docker_aws() as aws:
        yield aws


@pytest.fixture
def project(bake: Bake, engine: str, tmp_path: Path) -> Project:
    return bake(architecture=engine).copy(tmp_path / "project")


def podman_environment(aws: DockerAws, podman: str, folder: Path, command: str) -> dict[str, str]:
    """Return the variables of a machine on which `command` is Podman, and which has no other container engine."""
    programs = folder / "bin"
    programs.mkdir()
    (programs / command).symlink_to(podman)
    for tool in TOOLS:
        (programs / tool).symlink_to(str(shutil.which(tool)))
    registries = folder / "registries.conf"  # like Docker, use HTTP for a registry on this machine
    registries.write_text(f'[[registry]]\nlocation = "{aws.running.host}"\ninsecure = true\n', encoding="utf-8")
    path = os.pathsep.join([str(programs), "/usr/sbin"])  # Podman needs iptables
    settings = {name: value for name, value in os.environ.items() if name.startswith("CONTAINERS_")}  # of .ci/engine.sh
    return {**settings, **aws.environ, "PATH": path, "CONTAINERS_REGISTRIES_CONF": str(registries)}


@pytest.mark.parametrize("command", ["podman", "docker"])
def test_a_machine_that_has_only_podman_deploys(
    aws: DockerAws, project: Project, podman: str, command: str, tmp_path: Path
) -> None:
    environment = podman_environment(aws, podman, tmp_path, command)
    assert shutil.which("docker", path=environment["PATH"]) == (
        str(tmp_path / "bin/docker") if command == "docker" else None
    )
    try:
        doctor = project.run("./deploy.sh doctor", env=environment).stdout
        assert "ok       container engine: podman builds for " in doctor
        deployed = project.run("./deploy.sh", env=environment).stdout
        assert "smoke test passed, live" in deployed
        (listed,) = aws.client("ecr").describe_images(repositoryName=NAME)["imageDetails"]
        assert listed["imageManifestMediaType"] == OCI_MANIFEST
        assert "Nothing to deploy" in project.run("./deploy.sh", env=environment).stdout
        assert "0 left" in project.run("./deploy.sh destroy --yes", env=environment).stdout
    finally:
        for image in (f"localhost/{NAME}", f"{aws.running.host}/{NAME}"):
            names = subprocess.run([podman, "images", "--quiet", image], capture_output=True, text=True).stdout.split()
            subprocess.run([podman, "rmi", "--force", *names], capture_output=True)
