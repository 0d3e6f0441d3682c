"""HTTP servers on 127.0.0.1, one thread a connection, that stop at once."""

import contextlib
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from typing import Any


class LoopbackServer(ThreadingHTTPServer):
    """Listens on a free port as soon as it is made."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, handler: Callable[..., BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        serve(self)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is none of our business."""


def serve(server: HTTPServer) -> None:
    threading.Thread(target=server.serve_forever, daemon=True).start()


def stop(server: HTTPServer) -> None:
    """Stops serving and closes the port. Connecting wakes the server, which else looks up only twice a second."""
    stopping = threading.Thread(target=server.shutdown, daemon=True)
    stopping.start()
    while stopping.is_alive():
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", server.server_address[1]), timeout=1).close()
        stopping.join(0.01)
    server.server_close()


def read_body(headers: Any, stream: Any) -> bytes:
    """The body of an HTTP message, chunked or not."""
    if headers.get("Transfer-Encoding", "").lower() != "chunked":
        return bytes(stream.read(int(headers.get("Content-Length") or 0)))
    body = bytearray()
    while size := int(stream.readline().split(b";")[0], 16):
        body += stream.read(size)
        stream.readline()
    while stream.readline() not in (b"\r\n", b"\n", b""):
        pass
    return bytes(body)
