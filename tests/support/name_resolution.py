"""Let the names of public URLs resolve to nothing, or to an address on which nothing listens."""

import contextlib
import itertools
import socket
from collections.abc import Iterator
from typing import Any, Literal
from unittest.mock import patch
from urllib.parse import urlsplit

from embedded_aws import EmbeddedAws

Resolution = Literal["unknown name", "refused", "timeout"]


@contextlib.contextmanager
def names_resolve_wrongly(aws: EmbeddedAws, resolution: Resolution, times: int | None) -> Iterator[None]:
    """Let the name of any server but the endpoint of AWS resolve wrongly in this process, `times` times.

    A connection to an address without a server is refused. A time-out is raised immediately.
    """
    resolve = socket.getaddrinfo
    numbers = itertools.count(1)
    with socket.socket() as without_listener:
        without_listener.bind(("127.0.0.1", 0))

        def resolve_wrongly(host: Any, port: Any, *args: Any, **options: Any) -> Any:
            is_correct = port == urlsplit(aws.url).port or (times is not None and next(numbers) > times)
            if is_correct:
                return resolve(host, port, *args, **options)
            if resolution == "unknown name":
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            if resolution == "timeout":
                raise TimeoutError("timed out")
            return resolve(host, without_listener.getsockname()[1], *args, **options)

        with patch.object(socket, "getaddrinfo", resolve_wrongly):
            yield
