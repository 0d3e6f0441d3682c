"""Start the processes of execution environments with AWS's runtime client and a Python on this machine."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from functools import cached_property
from importlib.metadata import distribution
from pathlib import Path
from typing import IO, Any, Protocol

from embedded_aws.ecr.images import Image

READ_ONLY = Path(__file__).with_name("read_only.py")
SNAPSHOT_RUNTIME = Path(__file__).with_name("snapshot_runtime.py")


class Launcher(Protocol):
    """Start a process for an image."""

    def start(
        self, image: Image, environ: dict[str, str], runtime_api: str, output: IO[bytes]
    ) -> "subprocess.Popen[bytes]":
        """Start the image's command with the address of its Runtime API.

        `kill()` of the returned process must end its children too. If that process is not the runtime itself, its
        attribute `runtime_pid` is the process ID of the runtime.
        """


class SnapshotLauncher(Launcher, Protocol):
    """Start processes that can be restored from a snapshot too."""

    def start_snapshot(
        self, image: Image, environ: dict[str, str], runtime_api: str, output: IO[bytes], control: socket.socket
    ) -> "subprocess.Popen[bytes]":
        """Start the image's command in snapshot_runtime.py, which forks for each message on `control`."""

    def close(self) -> None:
        """Delete the launcher's temporary files."""


class ProcessGroup(subprocess.Popen[bytes]):
    """A process with its own process group, so that its children are killed with it, and with a temporary folder."""

    temporary_folder: Path

    def kill(self) -> None:
        """Kill the process and its children."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            super().kill()

    def wait(self, timeout: float | None = None) -> int:
        """Wait until the process has ended, and delete its temporary folder."""
        code = super().wait(timeout)
        shutil.rmtree(self.temporary_folder, ignore_errors=True)
        return code


class ProcessLauncher:
    """Run the files of a task root in place.

    The function can import the standard library, the runtime client and the task root, but no installed package. It can
    write to /tmp only (see read_only.py). Python's temporary files are in a folder of the execution environment.

    `python` is the command that runs Python, and `runtime_dir` a folder with the runtime client for it. By default,
    both are those of this process.
    """

    def __init__(self, python: Sequence[str] = (), runtime_dir: Path | None = None) -> None:
        self._python = python or [getattr(sys, "_base_executable", sys.executable)]
        self._custom_runtime_dir = runtime_dir
        self._lock = threading.Lock()
        self._closed = False

    def start(self, image: Image, environ: dict[str, str], runtime_api: str, output: IO[bytes]) -> ProcessGroup:
        """Start the runtime client with the image's command."""
        program = [str(READ_ONLY), "awslambdaric"]
        return self._start(program, image, environ, runtime_api, output)

    def start_snapshot(
        self, image: Image, environ: dict[str, str], runtime_api: str, output: IO[bytes], control: socket.socket
    ) -> ProcessGroup:
        """Start snapshot_runtime.py with the image's command."""
        program = [str(READ_ONLY), str(SNAPSHOT_RUNTIME), str(control.fileno())]
        return self._start(program, image, environ, runtime_api, output, (control.fileno(),))

    def _start(
        self,
        program: list[str],
        image: Image,
        environ: dict[str, str],
        runtime_api: str,
        output: IO[bytes],
        descriptors: tuple[int, ...] = (),
    ) -> ProcessGroup:
        if image.task_root is None:
            raise ValueError(f"{image.reference or image.digest} has no task root: it needs a container engine")
        with self._lock:
            if self._closed:
                raise OSError("the launcher is closed")
            temporary_folder = Path(tempfile.mkdtemp(prefix="tmp-", dir=self._folder))
            runtime_dir = self._custom_runtime_dir or self._installed_runtime_dir
        variables = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "TMPDIR": str(temporary_folder),
            "AWS_EXECUTION_ENV": f"AWS_Lambda_python{sys.version_info[0]}.{sys.version_info[1]}",
            "LAMBDA_TASK_ROOT": str(image.task_root),
            "LAMBDA_RUNTIME_DIR": str(runtime_dir),
            "PYTHONPATH": str(runtime_dir),
            "_HANDLER": image.command[0],
            "AWS_LAMBDA_RUNTIME_API": runtime_api,
        }
        # -S: without site-packages. -B: without writing bytecode, since the task root is read-only on AWS.
        process = ProcessGroup(
            [*self._python, "-S", "-B", *program, *image.command],
            pass_fds=descriptors,
            cwd=image.task_root,
            env={**variables, **environ},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        process.temporary_folder = temporary_folder
        return process

    def close(self) -> None:
        """Delete the folders of the runtime client and of the environments."""
        with self._lock:
            self._closed = True
            if "_folder" in self.__dict__:
                shutil.rmtree(self._folder, ignore_errors=True)  # processes that end now delete files too

    @cached_property
    def _folder(self) -> Path:
        """The folder with the runtime client and the temporary files of each environment."""
        return Path(tempfile.mkdtemp(prefix="lambda-"))

    @cached_property
    def _installed_runtime_dir(self) -> Path:
        """A folder with links to the installed runtime client and its requirements, like /var/runtime on AWS."""
        directory = self._folder / "runtime"
        directory.mkdir()
        for name in ("awslambdaric", *map(_package_name, distribution("awslambdaric").requires or [])):
            files: Any = distribution(name).files or []
            for top in {path.parts[0] for path in files} - {"..", "__pycache__"}:
                source = Path(str(distribution(name).locate_file(top)))
                if not top.endswith(".dist-info") and source.exists():
                    (directory / top).symlink_to(source)
        return directory


def _package_name(requirement: str) -> str:
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    return match.group() if match else requirement
