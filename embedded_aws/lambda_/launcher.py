"""How does an execution environment's process start? Here: AWS's own runtime client in a Python of this machine."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from functools import cached_property
from importlib.metadata import distribution
from pathlib import Path
from typing import IO, Any, Protocol

from embedded_aws.ecr.images import Image


class Launcher(Protocol):
    def start(
        self, image: Image, environ: dict[str, str], runtime_api: str, output: IO[bytes]
    ) -> "subprocess.Popen[bytes]":
        """Starts the image's command against the Runtime API there.

        `kill()` must end everything it started. A process that is not the runtime itself tells `runtime_pid`.
        """

    def close(self) -> None:
        """Removes what the launcher itself keeps."""


class SnapshotLauncher(Launcher, Protocol):
    def start_snapshot(
        self, image: Image, environ: dict[str, str], runtime_api: str, output: IO[bytes], control: socket.socket
    ) -> "subprocess.Popen[bytes]":
        """Starts the image's command so that it is copied whenever `control` asks for it (snapshot_runtime.py)."""


class ProcessGroup(subprocess.Popen[bytes]):
    """A process in a group of its own, so that what it forked dies with it."""

    def kill(self) -> None:
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            super().kill()


class ProcessLauncher:
    """Runs a task root in place; on the path are the standard library, the runtime client and it, nothing else."""

    def start(self, image: Image, environ: dict[str, str], runtime_api: str, output: IO[bytes]) -> ProcessGroup:
        return self._start(["-m", "awslambdaric"], image, environ, runtime_api, output)

    def start_snapshot(
        self, image: Image, environ: dict[str, str], runtime_api: str, output: IO[bytes], control: socket.socket
    ) -> ProcessGroup:
        program = [str(Path(__file__).with_name("snapshot_runtime.py")), str(control.fileno())]
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
        python = getattr(sys, "_base_executable", sys.executable)
        variables = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "AWS_EXECUTION_ENV": f"AWS_Lambda_python{sys.version_info[0]}.{sys.version_info[1]}",
            "LAMBDA_TASK_ROOT": str(image.task_root),
            "LAMBDA_RUNTIME_DIR": str(self._runtime_dir),
            "PYTHONPATH": str(self._runtime_dir),
            "_HANDLER": image.command[0],
            "AWS_LAMBDA_RUNTIME_API": runtime_api,
        }
        # -S: no site-packages. -B: the task root is read-only on AWS, so no bytecode is ever written there.
        return ProcessGroup(
            [python, "-S", "-B", *program, *image.command],
            pass_fds=descriptors,
            cwd=image.task_root,
            env={**variables, **environ},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def close(self) -> None:
        if "_runtime_dir" in self.__dict__:
            shutil.rmtree(self._runtime_dir)

    @cached_property
    def _runtime_dir(self) -> Path:
        """What AWS's image has in /var/runtime: the installed runtime client and its requirements, linked."""
        directory = Path(tempfile.mkdtemp(prefix="lambda-runtime-"))
        for name in ("awslambdaric", *map(_name, distribution("awslambdaric").requires or [])):
            files: Any = distribution(name).files or []
            for top in {path.parts[0] for path in files} - {"..", "__pycache__"}:
                source = Path(str(distribution(name).locate_file(top)))
                if not top.endswith(".dist-info") and source.exists():
                    (directory / top).symlink_to(source)
        return directory


def _name(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    return found.group() if found else requirement
