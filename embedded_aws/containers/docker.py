"""ENGINE=docker: a real registry behind the embedded ECR, and execution environments that are real containers."""

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

NOBODY = "65534"
SNAPSHOT_RUNTIME = Path(__file__).parents[1] / "lambda_/snapshot_runtime.py"
HAND_OVER_S = 60  # until a container has started
READS_IMAGES = {("lambda", "CreateFunction"), ("lambda", "UpdateFunctionCode")}


def engine_architecture() -> str:
    """What the container engine runs without emulation, as Lambda names it. Raises EngineMissing."""
    if not shutil.which("docker"):
        raise EngineMissing("docker is not installed")
    said = docker("version", "--format", "{{.Server.Arch}}")
    if not said:
        raise EngineMissing("docker is installed, but its engine does not answer")
    return {"amd64": "x86_64"}.get(said, said)


@contextmanager
def docker_aws(**options: Any) -> Iterator["DockerAws"]:
    """An embedded AWS that images are really pushed to and really run on. Raises EngineMissing."""
    with running_registry("AWS", f"{ACCOUNT}-auth-token") as running:  # what moto's GetAuthorizationToken hands out
        try:
            with DockerAws(running, **options) as aws, patch.object(Repository, "__init__", _new_repository(running)):
                yield aws
        finally:
            pushed = docker("images", "--format", "{{.Repository}}:{{.Tag}}", "--filter", f"reference={running.host}/*")
            for name in pushed.split():  # and the name that it was built under
                docker("rmi", name, name.removeprefix(f"{running.host}/"))


def _new_repository(running: RunningRegistry) -> Callable[..., None]:
    """Return a replacement of Repository.__init__ that sets the URI to an address of the running registry."""
    create = Repository.__init__

    def create_with_uri(repository: Repository, *args: Any, **kwargs: Any) -> None:
        create(repository, *args, **kwargs)
        repository.uri = f"{running.host}/{repository.name}"

    return create_with_uri


class DockerAws(EmbeddedAws):
    def __init__(self, running: RunningRegistry, **options: Any) -> None:
        self.running = running
        self._mirror = MirroredRegistry(running)
        super().__init__(launcher=ContainerLauncher(), registry=self._mirror, **options)
        self.hook(self._around)

    @property
    def environ(self) -> dict[str, str]:
        """With what leads to the container engine."""
        engine = {name: value for name, value in os.environ.items() if name.startswith("DOCKER_")}
        return {**super().environ, **engine}

    def _around(self, call: Call, number: int, when: str) -> None:
        if call.service == "ecr" or (call.service, call.operation) in READS_IMAGES:
            if when == "before":
                self._mirror.read(call.region)
            elif call.operation in ("BatchDeleteImage", "DeleteRepository"):
                self._mirror.delete_what_ecr_deleted(call.region)


class MirroredRegistry(Registry):
    """The embedded ECR holds what the running registry holds, and names that one's address as its own."""

    def __init__(self, running: RunningRegistry) -> None:
        super().__init__(ACCOUNT)
        self._running = running

    def push(self, *args: Any, **kwargs: Any) -> str:
        """Refuse a folder, because only images that docker has pushed can run in containers."""
        raise ValueError("This server runs images in containers. Push one with docker push.")

    def uri(self, region: str, repository: str) -> str:
        return f"{self._running.host}/{repository}"

    def read(self, region: str) -> None:
        repositories = ecr_backends[ACCOUNT][region].repositories
        for name, repository in repositories.items():
            repository.uri = self.uri(region, name)
        for name, tag, manifest, media_type, image in self._running.images():
            if name in repositories:
                self.put(region, name, tag, manifest, media_type, image)

    def delete_what_ecr_deleted(self, region: str) -> None:
        for name, _, _, _, image in list(self._running.images()):
            if self._find(region, name, image.digest, "") is None:
                self._running.delete(name, image.digest)


class Container(subprocess.Popen[bytes]):
    """The client of a running container; killing it removes the container by name."""

    name = ""
    _runtime_pid = 0

    @property
    def runtime_pid(self) -> int:
        """The process in the container, as this machine numbers it; 0 until it runs."""
        if not self._runtime_pid:
            self._runtime_pid = int(docker("inspect", "--format", "{{.State.Pid}}", self.name) or 0)
        return self._runtime_pid

    def kill(self) -> None:
        docker("rm", "--force", self.name)
        super().kill()


class ContainerLauncher:
    """Starts images as Lambda does: with a Runtime API, so that their entrypoint runs AWS's client and no emulator."""

    def start(self, image: Image, environ: dict[str, str], runtime_api: str, output: IO[bytes]) -> Container:
        return self._start([], [image.reference, *image.command], environ, runtime_api, output)

    def start_snapshot(
        self, image: Image, environ: dict[str, str], runtime_api: str, output: IO[bytes], control: socket.socket
    ) -> Container:
        """In place of the image's entrypoint runs snapshot_runtime.py, whose copies are processes of this container."""
        address = f"snapshot-{uuid.uuid4().hex}"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(f"\0{address}")  # which a container on the host's network finds
        listener.listen(1)
        threading.Thread(target=hand_over, args=(listener, control.dup()), daemon=True).start()
        program = ["-c", SNAPSHOT_RUNTIME.read_text("utf-8"), address]
        # Copies tell their numbers, which must be those that this machine knows them by.
        options = ["--pid", "host", "--entrypoint", "/var/lang/bin/python3"]
        return self._start(options, [image.reference, *program, *image.command], environ, runtime_api, output)

    def _start(
        self, options: list[str], command: list[str], environ: dict[str, str], runtime_api: str, output: IO[bytes]
    ) -> Container:
        name = f"execution-environment-{uuid.uuid4().hex[:12]}"
        variables = {**environ, "AWS_LAMBDA_RUNTIME_API": runtime_api}
        # On AWS, too, a function is nobody's user and can write to /tmp only.
        options += ["--user", str(os.getuid() or NOBODY), "--read-only", "--tmpfs", "/tmp"]  # noqa: S108
        for variable in variables:  # values go by the client's environment, which `ps` does not show
            options += ["--env", variable]
        process = Container(
            ["docker", "run", "--rm", "--name", name, "--network", "host", *options, *command],
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C at the demo is for the demo, which then removes its containers
        )
        process.name = name
        return process

    def close(self) -> None:
        """Containers go with their processes."""


def hand_over(listener: socket.socket, control: socket.socket) -> None:
    """Sends `control` to the first who connects."""
    with control, listener, suppress(OSError):
        listener.settimeout(HAND_OVER_S)
        connection, _ = listener.accept()
        with connection:
            socket.send_fds(connection, [b"."], [control.fileno()])


def docker(*arguments: str) -> str:
    """What docker says; nothing when it fails."""
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False).stdout.strip()
