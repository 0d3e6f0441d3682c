"""Run the embedded AWS with Docker (ENGINE=docker): a container registry behind ECR, and functions in containers."""

import os
import shutil
import socket
import subprocess
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any
from unittest.mock import patch

from moto.ecr.models import Repository, ecr_backends

from embedded_aws.calls import Call
from embedded_aws.ecr.docker_registry import EngineMissing, RunningRegistry, running_registry
from embedded_aws.ecr.images import Image, Registry
from embedded_aws.server import ACCOUNT, EmbeddedAws

NOBODY = "65534"  # the user ID of nobody
SNAPSHOT_RUNTIME = Path(__file__).parents[1] / "lambda_/snapshot_runtime.py"
CONTAINER_START_S = 60  # the longest time that a container may take to start
CALLS_THAT_READ_IMAGES = {("lambda", "CreateFunction"), ("lambda", "UpdateFunctionCode")}


def engine_architecture() -> str:
    """Return the architecture of the container engine in Lambda's terms. Raise EngineMissing without an engine."""
    if not shutil.which("docker"):
        raise EngineMissing("docker is not installed")
    architecture = docker("version", "--format", "{{.Server.Arch}}")
    if not architecture:
        raise EngineMissing("docker is installed, but its engine does not respond")
    return {"amd64": "x86_64"}.get(architecture, architecture)


@contextmanager
def docker_aws(**options: Any) -> Iterator["DockerAws"]:
    """Run an embedded AWS that takes pushed images and runs them in containers. Raise EngineMissing.

    `options` are arguments of EmbeddedAws.
    """
    with running_registry("AWS", f"{ACCOUNT}-auth-token") as running:  # the password of moto's GetAuthorizationToken
        try:
            with DockerAws(running, **options) as aws, patch.object(Repository, "__init__", _new_repository(running)):
                yield aws
        finally:
            pushed = docker("images", "--format", "{{.Repository}}:{{.Tag}}", "--filter", f"reference={running.host}/*")
            for name in pushed.split():  # remove the name with the registry and the local name
                docker("rmi", name, name.removeprefix(f"{running.host}/"))


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
        super().__init__(launcher=ContainerLauncher(), registry=self._mirror, **options)
        self.hook(self._mirror_images)

    @property
    def environ(self) -> dict[str, str]:
        """The variables of EmbeddedAws, and those with which docker finds the container engine."""
        engine = {name: value for name, value in os.environ.items() if name.startswith("DOCKER_")}
        return {**super().environ, **engine}

    def _mirror_images(self, call: Call, number: int, when: str) -> None:
        """Copy pushed images to ECR before each call that reads them, and deletions to the registry afterwards."""
        if call.service == "ecr" or (call.service, call.operation) in CALLS_THAT_READ_IMAGES:
            if when == "before":
                self._mirror.read(call.region)
            elif call.operation in ("BatchDeleteImage", "DeleteRepository"):
                self._mirror.delete_removed_images(call.region)


class MirroredRegistry(Registry):
    """An embedded ECR with the images and the address of the running registry."""

    def __init__(self, running: RunningRegistry) -> None:
        super().__init__(ACCOUNT)
        self._running = running

    def push(self, *args: Any, **kwargs: Any) -> str:
        """Refuse a folder, because only images that docker has pushed can run in containers."""
        raise ValueError("This server runs images in containers. Push one with docker push.")

    def uri(self, region: str, repository: str) -> str:
        return f"{self._running.host}/{repository}"

    def read(self, region: str) -> None:
        """Store the images that were pushed to the running registry in the repositories of ECR."""
        repositories = ecr_backends[ACCOUNT][region].repositories
        for name, repository in repositories.items():
            repository.uri = self.uri(region, name)
        for name, tag, manifest, media_type, image in self._running.images():
            if name in repositories:
                self.put(region, name, tag, manifest, media_type, image)

    def delete_removed_images(self, region: str) -> None:
        """Delete the images from the running registry that are no longer in ECR."""
        for pushed in list(self._running.images()):
            if self._find(region, pushed.repository, pushed.image.digest, "") is None:
                self._running.delete(pushed.repository, pushed.image.digest)


class Container(subprocess.Popen[bytes]):
    """The process of `docker run`. Killing it removes the container."""

    name = ""
    _runtime_pid = 0

    @property
    def runtime_pid(self) -> int:
        """The ID on this machine of the process in the container, or 0 until it runs."""
        if not self._runtime_pid:
            self._runtime_pid = int(docker("inspect", "--format", "{{.State.Pid}}", self.name) or 0)
        return self._runtime_pid

    def kill(self) -> None:
        """Remove the container and kill its client."""
        docker("rm", "--force", self.name)
        super().kill()


class ContainerLauncher:
    """Run images in containers.

    AWS_LAMBDA_RUNTIME_API is set, so that the entrypoint of AWS's base image starts the runtime client and not the
    Runtime Interface Emulator.
    """

    def start(self, image: Image, environ: dict[str, str], runtime_api: str, output: IO[bytes]) -> Container:
        """Run the image's entrypoint with its command."""
        return self._start([], [image.reference, *image.command], environ, runtime_api, output)

    def start_snapshot(
        self, image: Image, environ: dict[str, str], runtime_api: str, output: IO[bytes], control: socket.socket
    ) -> Container:
        """Run snapshot_runtime.py instead of the image's entrypoint. Restored processes run in the same container."""
        address = f"snapshot-{uuid.uuid4().hex}"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(f"\0{address}")  # an abstract address, which containers on the host's network can use
        listener.listen(1)
        threading.Thread(target=send_control_socket, args=(listener, control.dup()), daemon=True).start()
        program = ["-c", SNAPSHOT_RUNTIME.read_text("utf-8"), address]
        # With the host's PID namespace, the process IDs that restored processes report are valid on this machine.
        options = ["--pid", "host", "--entrypoint", "/var/lang/bin/python3"]
        return self._start(options, [image.reference, *program, *image.command], environ, runtime_api, output)

    def _start(
        self, options: list[str], command: list[str], environ: dict[str, str], runtime_api: str, output: IO[bytes]
    ) -> Container:
        name = f"execution-environment-{uuid.uuid4().hex[:12]}"
        variables = {**environ, "AWS_LAMBDA_RUNTIME_API": runtime_api}
        # As on AWS, the function is an unprivileged user and can write to /tmp only.
        options += ["--user", str(os.getuid() or NOBODY), "--read-only", "--tmpfs", "/tmp"]  # noqa: S108
        for variable in variables:  # docker takes the values from its own environment, which `ps` does not show
            options += ["--env", variable]
        process = Container(
            ["docker", "run", "--rm", "--name", name, "--network", "host", *options, *command],
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C only reaches the demo, which then removes its containers
        )
        process.name = name
        return process

    def close(self) -> None:
        """Do nothing: containers are removed with their processes."""


def send_control_socket(listener: socket.socket, control: socket.socket) -> None:
    """Send the file descriptor of the control socket to the first client that connects."""
    with control, listener, suppress(OSError):
        listener.settimeout(CONTAINER_START_S)
        connection, _ = listener.accept()
        with connection:
            socket.send_fds(connection, [b"."], [control.fileno()])


def docker(*arguments: str) -> str:
    """Run docker. Return its output, or an empty string if it fails."""
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False).stdout.strip()
