"""Run a real container registry as the storage of the embedded ECR, and read the images that were pushed to it."""

import base64
import ctypes
import ctypes.util
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from embedded_aws.ecr.images import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, Image

PROGRAMS = ("docker-registry", "registry")  # the names in Debian and in the releases of its developers
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
START_TIMEOUT_S = 10


class EngineMissing(RuntimeError):
    """A program that ENGINE=docker needs is not installed or does not work."""


def registry_program() -> str:
    """Return the path of the registry program. Raise EngineMissing if none is installed."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        raise EngineMissing(f"no registry is installed (looked for {' and '.join(PROGRAMS)})")
    return program


@contextmanager
def running_registry(user: str, password: str) -> Iterator["RunningRegistry"]:
    """Run a registry on this machine that requires this password. Raise EngineMissing if it cannot be started."""
    program = registry_program()
    with tempfile.TemporaryDirectory(prefix="registry-") as folder:
        port = _free_port()
        passwords = Path(folder, "passwords")
        passwords.write_text(f"{user}:{_bcrypt(password)}\n")
        settings = {
            "version": 0.1,
            "log": {"level": "error", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": f"{folder}/images"}, "delete": {"enabled": True}},
            "auth": {"htpasswd": {"realm": "ecr", "path": str(passwords)}},
            "http": {"addr": f"127.0.0.1:{port}"},
        }
        Path(folder, "settings.json").write_text(json.dumps(settings))  # the registry reads YAML, which includes JSON
        with open(Path(folder, "log"), "wb") as log:
            process = subprocess.Popen([program, "serve", f"{folder}/settings.json"], stdout=log, stderr=log)
        try:
            registry = RunningRegistry(f"127.0.0.1:{port}", user, password)
            deadline = time.monotonic() + START_TIMEOUT_S
            while not registry.is_ready():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise EngineMissing(f"the registry did not start: {Path(folder, 'log').read_text()[-500:]}")
                time.sleep(0.05)
            yield registry
        finally:
            process.terminate()
            process.wait()


class PushedImage(NamedTuple):
    """A tag in the registry, its manifest, and the image as a launcher needs it."""

    repository: str
    tag: str
    manifest: bytes
    media_type: str
    image: Image


class RunningRegistry:
    """A client of the registry's HTTP API.

    https://distribution.github.io/distribution/spec/api/
    """

    def __init__(self, host: str, user: str, password: str) -> None:
        self.host = host
        self._credentials = base64.b64encode(f"{user}:{password}".encode()).decode()

    @property
    def docker_config(self) -> str:
        """The content of a config.json with which docker can pull from the registry."""
        return json.dumps({"auths": {self.host: {"auth": self._credentials}}})

    def is_ready(self) -> bool:
        """Return True if the registry responds."""
        try:
            self._send("/v2/")
        except OSError:
            return False
        return True

    def images(self) -> Iterator[PushedImage]:
        """Return the images of all tags in all repositories."""
        for repository in json.loads(self._send("/v2/_catalog")[0])["repositories"] or []:
            for tag in json.loads(self._send(f"/v2/{repository}/tags/list")[0])["tags"] or []:
                manifest, headers = self._send(f"/v2/{repository}/manifests/{tag}")
                digest = headers["Docker-Content-Digest"]
                reference = f"{self.host}/{repository}@{digest}"
                architecture, command = self._read_config(repository, json.loads(manifest))
                image = Image(digest, architecture, command, reference=reference)
                yield PushedImage(repository, tag, manifest, headers["Content-Type"], image)

    def delete(self, repository: str, digest: str) -> None:
        """Delete a manifest, if it exists."""
        try:
            self._send(f"/v2/{repository}/manifests/{digest}", "DELETE")
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise

    def _read_config(self, repository: str, manifest: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
        """Return the architecture in Lambda's terms and the command. Both are empty for an index."""
        if "config" not in manifest:
            return "", ()
        config = json.loads(self._send(f"/v2/{repository}/blobs/{manifest['config']['digest']}")[0])
        architecture = {"amd64": "x86_64"}.get(config["architecture"], config["architecture"])
        return architecture, tuple(config["config"].get("Cmd") or ())

    def _send(self, path: str, method: str = "GET") -> tuple[bytes, Any]:
        """Send a request. Return the body and the headers of the response."""
        accepted = ", ".join((DOCKER_MANIFEST, OCI_MANIFEST, DOCKER_INDEX, OCI_INDEX))
        headers = {"Authorization": f"Basic {self._credentials}", "Accept": accepted}
        request = urllib.request.Request(f"http://{self.host}{path}", headers=headers, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # without a proxy
        with opener.open(request, timeout=10) as response:
            return response.read(), response.headers


def _bcrypt(password: str) -> str:
    """Return the bcrypt hash of a password, the only kind that the registry accepts.

    The C library has bcrypt, unlike Python's standard library.
    """
    library = ctypes.util.find_library("crypt")
    if library is None:
        raise EngineMissing("the C library's libcrypt is not installed")
    crypt = ctypes.CDLL(library).crypt
    crypt.restype = ctypes.c_char_p
    hashed: bytes | None = crypt(password.encode(), b"$2b$05$" + base64.b64encode(os.urandom(16), b"./")[:21] + b".")
    if not hashed or not hashed.startswith(b"$2b$"):
        raise EngineMissing("the C library's libcrypt does not support bcrypt")
    return hashed.decode()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
