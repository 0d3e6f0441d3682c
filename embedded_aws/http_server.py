"""HTTP servers on 127.0.0.1 with one thread per connection, which stop without delay."""

import contextlib
import os
import socket
import struct
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from typing import Any


class LoopbackServer(ThreadingHTTPServer):
    """An HTTP server on a free port of 127.0.0.1. It refuses connections until `listen` is called."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, handler: Callable[..., BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler, bind_and_activate=False)
        self.server_bind()
        self._is_listening = self._is_closed = False
        self._lock = threading.Lock()

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.server_address[1]}"

    def listen(self) -> None:
        """Serve requests, unless the server was closed meanwhile."""
        with self._lock:
            if not self._is_closed:
                self.server_activate()
                serve(self)
                self._is_listening = True

    def close(self) -> None:
        """Stop serving and close the port."""
        with self._lock:
            self._is_closed = True
        if self._is_listening:
            stop(self)
        else:
            self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that close their connection."""


def serve(server: HTTPServer) -> None:
    """Serve requests in a background thread."""
    threading.Thread(target=server.serve_forever, daemon=True).start()


def stop(server: HTTPServer) -> None:
    """Stop serving and close the port. The server must be serving.

    `serve_forever` checks for a shutdown only twice a second. A connection wakes it up.
    """
    stopping = threading.Thread(target=server.shutdown, daemon=True)
    stopping.start()
    while stopping.is_alive():
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", server.server_address[1]), timeout=1).close()
        stopping.join(0.01)
    server.server_close()


def reset_connection(connection: socket.socket) -> None:
    """Close a connection with a TCP reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(connection.detach())


def read_body(headers: Any, stream: Any) -> bytes:
    """Return the body of an HTTP message. Decode chunked transfer encoding."""
    if headers.get("Transfer-Encoding", "").lower() != "chunked":
        return bytes(stream.read(int(headers.get("Content-Length") or 0)))
    body = bytearray()
    while size := int(stream.readline().split(b";")[0], 16):
        body += stream.read(size)
        stream.readline()
    while stream.readline() not in (b"\r\n", b"\n", b""):
        pass
    return bytes(body)
