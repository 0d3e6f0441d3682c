"""Test that a database connection that a firewall has silently dropped is replaced within seconds."""

import ctypes
import socket
import struct
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest

from embedded_aws import EmbeddedAws
from scripts.database import new_database
from tests.support.bake import Bake
from tests.support.deploy_tool import DeployTool, push_image

SO_ATTACH_FILTER = 26  # asm-generic/socket.h
DROP_EVERY_PACKET = struct.pack("HBBI", 0x06, 0, 0, 0)  # BPF_RET | BPF_K with 0 bytes, see socket(7)


@dataclass
class Firewall:
    """Forwards connections to a server. After it has dropped them, it ignores all of their packets."""

    server: tuple[str, int]
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    clients: list[socket.socket] = field(default_factory=list)

    def run(self) -> None:
        """Accept connections until the listener is closed."""
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                server = socket.create_connection(self.server)
                self.clients.append(client)
                for source, target in ((client, server), (server, client)):
                    threading.Thread(target=self.forward, args=[source, target], daemon=True).start()

    @staticmethod
    def forward(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def drop_connections(self) -> None:
        """Let the kernel drop each packet of the clients before TCP can acknowledge it. Skip the test if it may not."""
        program = ctypes.create_string_buffer(DROP_EVERY_PACKET)
        for client in self.clients:
            try:
                client.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", 1, ctypes.addressof(program)))
            except PermissionError:
                pytest.skip("this machine does not allow packet filters")
        self.clients.clear()


@contextmanager
def firewall(server: tuple[str, int]) -> Iterator[Firewall]:
    firewall = Firewall(server)
    thread = threading.Thread(target=firewall.run, daemon=True)
    thread.start()
    yield firewall
    firewall.listener.shutdown(socket.SHUT_RDWR)
    firewall.listener.close()
    thread.join()


def test_dropped_connection_is_replaced(bake: Bake) -> None:
    project = bake(migrations="alembic")
    with new_database() as database, EmbeddedAws() as aws:
        server = urlsplit(database)
        with firewall((server.hostname or "", server.port or 0)) as wall:
            port = wall.listener.getsockname()[1]
            deploy = DeployTool(project, aws)
            url = server._replace(netloc=f"postgres@127.0.0.1:{port}").geturl()
            assert deploy("secret", "set", "DATABASE_URL", typed=url).code == 0
            deployed = deploy("--image", push_image(project, aws))
            assert deployed.code == 0, deployed.err

            def list_items() -> bytes:
                with urllib.request.urlopen(f"{deployed.url}items", timeout=120) as response:
                    return bytes(response.read())

            items = list_items()
            assert len(wall.clients) > 0
            wall.drop_connections()
            assert list_items() == items  # a request may take 30 s, then the function times out
            assert list_items() == items
            assert len(wall.clients) == 1  # the connection that replaced the dropped one
