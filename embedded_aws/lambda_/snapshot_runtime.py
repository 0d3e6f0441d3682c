"""Runs as a function's process: AWS's runtime client, forked after INIT for each restore of the snapshot.

Started with a socket and then what the runtime client takes. A message on the socket asks for a restore and brings the
environment's variables, its output and where to say the process's number and exit status.
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
    # The compiled client keeps the address that it finds when it is imported: it is left to the forks to do so.
    sys.modules["runtime_client"] = SimpleNamespace(initialize_client=lambda agent: None)  # type: ignore[assignment]
    import awslambdaric.__main__
    from awslambdaric import lambda_runtime_client
    from awslambdaric.lambda_runtime_client import BaseLambdaRuntimeClient, _user_agent

    ask_for_restore = BaseLambdaRuntimeClient.restore_next

    def restore_next(self: BaseLambdaRuntimeClient) -> None:
        """Returns in each restored copy, never in the process that was started."""
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
                same_randomness(state)
                restore_event_loop(loop)
                return
            for descriptor in descriptors:
                os.close(descriptor)

    BaseLambdaRuntimeClient.restore_next = restore_next
    awslambdaric.__main__.main(arguments)


def control_socket(where: str) -> socket.socket:
    """The open socket of this number; or, in a container, the one that is handed out at this abstract address."""
    if where.isdecimal():
        return socket.socket(fileno=int(where))
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(f"\0{where}")
        return socket.socket(fileno=socket.recv_fds(connection, 1, 1)[1][0])


def same_randomness(state: object) -> None:
    """Python seeds `random` anew in a fork; what is restored from a snapshot goes on with what was in it."""
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
    sys.path[0] = os.getcwd()  # not this file's folder, none of which is the function's
    main(control_socket(sys.argv[1]), sys.argv[1:])
