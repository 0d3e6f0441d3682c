"""A real container registry, which stands behind the embedded ECR when images are built for real."""

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
from typing import Any

from embedded_aws.ecr.images import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, Image

PROGRAMS = ("docker-registry", "registry")  # Debian's name, and the one of its maker
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
START_S = 10


class EngineMissing(RuntimeError):
    """Says what ENGINE=docker needs and this machine does not have."""


def registry_program() -> str:
    """Raises EngineMissing when none is installed."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        raise EngineMissing(f"no registry is installed (looked for {' and '.join(PROGRAMS)})")
    return program


@contextmanager
def running_registry(user: str, password: str) -> Iterator["RunningRegistry"]:
    """A registry of our own that asks for this password. Raises EngineMissing when none is installed."""
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
        Path(folder, "settings.json").write_text(json.dumps(settings))  # which is YAML too
        with open(Path(folder, "log"), "wb") as log:
            process = subprocess.Popen([program, "serve", f"{folder}/settings.json"], stdout=log, stderr=log)
        try:
            registry = RunningRegistry(f"127.0.0.1:{port}", user, password)
            deadline = time.monotonic() + START_S
            while not registry.answers():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise EngineMissing(f"the registry did not start: {Path(folder, 'log').read_text()[-500:]}")
                time.sleep(0.05)
            yield registry
        finally:
            process.terminate()
            process.wait()


class RunningRegistry:
    """The registry's own HTTP API: https://distribution.github.io/distribution/spec/api/"""

    def __init__(self, host: str, user: str, password: str) -> None:
        self.host = host
        self._authorization = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    def answers(self) -> bool:
        try:
            self._call("/v2/")
        except OSError:
            return False
        return True

    def images(self) -> Iterator[tuple[str, str, bytes, str, Image]]:
        """Repository, tag, manifest, its media type, and what a launcher needs, of every tag that was pushed."""
        for repository in json.loads(self._call("/v2/_catalog")[0])["repositories"] or []:
            for tag in json.loads(self._call(f"/v2/{repository}/tags/list")[0])["tags"] or []:
                manifest, headers = self._call(f"/v2/{repository}/manifests/{tag}")
                digest = headers["Docker-Content-Digest"]
                reference = f"{self.host}/{repository}@{digest}"
                image = Image(digest, *self._config(repository, json.loads(manifest)), reference=reference)
                yield repository, tag, manifest, headers["Content-Type"], image

    def delete(self, repository: str, digest: str) -> None:
        try:
            self._call(f"/v2/{repository}/manifests/{digest}", "DELETE")
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise

    def _config(self, repository: str, manifest: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
        """The architecture as Lambda names it, and the command; nothing for an index, which has no config."""
        if "config" not in manifest:
            return "", ()
        config = json.loads(self._call(f"/v2/{repository}/blobs/{manifest['config']['digest']}")[0])
        architecture = {"amd64": "x86_64"}.get(config["architecture"], config["architecture"])
        return architecture, tuple(config["config"].get("Cmd") or ())

    def _call(self, path: str, method: str = "GET") -> tuple[bytes, Any]:
        accepted = ", ".join((DOCKER_MANIFEST, OCI_MANIFEST, DOCKER_INDEX, OCI_INDEX))
        headers = {"Authorization": self._authorization, "Accept": accepted}
        request = urllib.request.Request(f"http://{self.host}{path}", headers=headers, method=method)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
            return answer.read(), answer.headers


def _bcrypt(password: str) -> str:
    """The one form of password the registry reads; the C library has it, Python's standard library does not."""
    library = ctypes.util.find_library("crypt")
    if library is None:
        raise EngineMissing("the C library's libcrypt is not installed")
    crypt = ctypes.CDLL(library).crypt
    crypt.restype = ctypes.c_char_p
    hashed: bytes | None = crypt(password.encode(), b"$2b$05$" + base64.b64encode(os.urandom(16), b"./")[:21] + b".")
    if not hashed or not hashed.startswith(b"$2b$"):
        raise EngineMissing("the C library's libcrypt knows no bcrypt")
    return hashed.decode()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
