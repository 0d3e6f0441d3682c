"""The program of a function with SnapStart: AWS's runtime client, which forks after INIT for each restore.

Its arguments are a control socket and the arguments of the runtime client. Each message on the socket requests a
restore. The message is a JSON object of environment variables with two file descriptors: one for the output of the
process, and one to which this program writes the process ID and, later, the exit status.
"""

import json
import os
import signal
import socket
import sys
import warnings
from types import SimpleNamespace
from typing import Any


def main(control: socket.socket, arguments: list[str]) -> None:
    """Run the runtime client, and return from `restore_next` in the restored processes only."""
    # The compiled client reads the address of the Runtime API on import, so each fork imports it for itself.
    sys.modules["runtime_client"] = SimpleNamespace(initialize_client=lambda agent: None)  # type: ignore[assignment]
    import awslambdaric.__main__
    from awslambdaric import lambda_runtime_client
    from awslambdaric.lambda_runtime_client import BaseLambdaRuntimeClient, _user_agent

    ask_for_restore = BaseLambdaRuntimeClient.restore_next

    def restore_next(self: BaseLambdaRuntimeClient) -> None:
        """Wait for restore requests. Return in each restored process, and never in the original one."""
        ask_for_restore(self)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        state = sys.modules["random"].getstate() if "random" in sys.modules else None
        loop = current_event_loop()
        while True:
            message, descriptors, _, _ = socket.recv_fds(control, 65536, 2)
            if not message:
                os._exit(0)
            if os.fork() == 0:
                output, status = descriptors
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                if pid := os.fork():
                    os.write(status, f"{pid}\n".encode())
                    os.write(status, str(os.waitpid(pid, 0)[1]).encode())
                    delete_temporary_files(pid)
                    os._exit(0)
                os.setsid()
                os.dup2(output, 1)
                os.dup2(output, 2)
                for descriptor in (output, status, control.fileno()):
                    os.close(descriptor)
                os.environ.update(json.loads(message))
                self.lambda_runtime_address = os.environ["AWS_LAMBDA_RUNTIME_API"]
                del sys.modules["runtime_client"]
                import runtime_client  # type: ignore[import-not-found]

                runtime_client.initialize_client(_user_agent())
                lambda_runtime_client.runtime_client = runtime_client
                copy_temporary_files()
                same_randomness(state)
                restore_event_loop(loop)
                return
            for descriptor in descriptors:
                os.close(descriptor)

    BaseLambdaRuntimeClient.restore_next = restore_next
    awslambdaric.__main__.main(arguments)


def control_socket(where: str) -> socket.socket:
    """Return the open socket with this file descriptor or, in a container, receive it from this abstract address."""
    if where.isdecimal():
        return socket.socket(fileno=int(where))
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(f"\0{where}")
        return socket.socket(fileno=socket.recv_fds(connection, 1, 1)[1][0])


def copy_temporary_files() -> None:
    """Give this process its own copy of the temporary files of INIT.

    Each restored machine has its own /tmp, and so does a container, in which TMPDIR is not set.
    """
    if os.path.isdir(snapshot := os.environ.get("TMPDIR", "")):
        import shutil
        import tempfile

        os.environ["TMPDIR"] = shutil.copytree(snapshot, f"{snapshot}-{os.getpid()}")
        tempfile.tempdir = None


def delete_temporary_files(pid: int) -> None:
    """Delete the temporary files of a restored process that has ended."""
    if os.path.isdir(folder := f"{os.environ.get('TMPDIR')}-{pid}"):
        import shutil

        shutil.rmtree(folder, ignore_errors=True)


def same_randomness(state: object) -> None:
    """Set the state of `random` to that of the snapshot, because Python seeds it again in a fork."""
    if state is not None:
        sys.modules["random"].setstate(state)


def current_event_loop() -> Any:
    """Return the current event loop of asyncio, or None if there is none."""
    if "asyncio" not in sys.modules:
        return None
    import asyncio

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # before Python 3.14, it creates a loop if there is none
        try:
            return asyncio.get_event_loop()
        except RuntimeError:
            return None


def restore_event_loop(loop: Any) -> None:
    """Make the event loop of the snapshot the current one again, which a fork resets, and give it its own files.

    A restored machine keeps its current loop and has its own files. Forks share them and would wake each other's loops.
    """
    if loop:
        import asyncio
        import selectors

        asyncio.set_event_loop(loop)
        loop._selector = selectors.DefaultSelector()
        loop._internal_fds = 0
        loop._make_self_pipe()


if __name__ == "__main__":
    sys.path[0] = os.getcwd()  # the task root instead of this file's folder
    main(control_socket(sys.argv[1]), sys.argv[1:])
