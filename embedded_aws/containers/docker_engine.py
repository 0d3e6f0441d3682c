"""Run containers with Docker, also as execution environments."""

import os
import shutil
import socket
import subprocess
import tempfile
import threading
import uuid
from contextlib import suppress
from pathlib import Path
from typing import IO

from embedded_aws.ecr.docker_registry import EngineMissing, RunningRegistry
from embedded_aws.ecr.images import Image

NOBODY = "65534"  # the user ID of nobody
SNAPSHOT_RUNTIME = Path(__file__).parents[1] / "lambda_/snapshot_runtime.py"
CONTAINER_START_S = 60  # the longest time that a container may take to start


def docker(*arguments: str) -> str:
    """Run docker. Return its output, or an empty string if it fails."""
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False).stdout.strip()


def engine_architecture() -> str:
    """Return the architecture of the container engine in Lambda's terms. Raise EngineMissing without an engine."""
    if not shutil.which("docker"):
        raise EngineMissing("docker is not installed")
    architecture = docker("version", "--format", "{{.Server.Arch}}")
    if not architecture:
        raise EngineMissing("docker is installed, but its engine does not respond")
    return {"amd64": "x86_64"}.get(architecture, architecture)


def engine_address() -> str:
    """Return the address of the container engine, which DOCKER_HOST or the current context of docker selects."""
    context = docker("context", "inspect", "--format", "{{.Endpoints.docker.Host}}")
    return os.environ.get("DOCKER_HOST") or context


END_TIMEOUT_S = 2


class Container(subprocess.Popen[bytes]):
    """The process of `docker run`. Killing it removes the container.

    It forwards the output of the container, which can arrive later than the response of the runtime.
    """

    name = ""
    output_delay_ms = 500
    _runtime_pid = 0

    @property
    def runtime_pid(self) -> int:
        """The ID on this machine of the process in the container, or 0 until it runs."""
        if not self._runtime_pid:
            self._runtime_pid = int(docker("inspect", "--format", "{{.State.Pid}}", self.name) or 0)
        return self._runtime_pid

    def kill(self) -> None:
        """Remove the container and wait until the client has forwarded its output.

        A client that has not created the container yet is killed, and may have created it in the meantime.
        """
        docker("rm", "--force", self.name)
        try:
            self.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            super().kill()
            self.wait()
            docker("rm", "--force", self.name)


class ContainerLauncher:
    """Run images in containers.

    AWS_LAMBDA_RUNTIME_API is set, so that the entrypoint of AWS's base image starts the runtime client and not the
    Runtime Interface Emulator.
    """

    def __init__(self, registry: RunningRegistry) -> None:
        self._registry = registry

    def start(self, image: Image, environ: dict[str, str], runtime_api: str, output: IO[bytes]) -> Container:
        """Run the image's entrypoint with its command."""
        return self._start(image, [], [image.reference, *image.command], environ, runtime_api, output)

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
        return self._start(image, options, [image.reference, *program, *image.command], environ, runtime_api, output)

    def _pull_if_missing(self, image: Image) -> None:
        """Pull the image if this machine does not have it, with the credentials of the registry."""
        if docker("image", "inspect", "--format", "{{.Id}}", image.reference):
            return
        with tempfile.TemporaryDirectory(prefix="docker-config-") as folder:
            Path(folder, "config.json").write_text(self._registry.docker_config, encoding="utf-8")
            docker("--config", folder, "--host", engine_address(), "pull", image.reference)

    def _start(
        self,
        image: Image,
        options: list[str],
        command: list[str],
        environ: dict[str, str],
        runtime_api: str,
        output: IO[bytes],
    ) -> Container:
        self._pull_if_missing(image)
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
