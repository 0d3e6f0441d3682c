"""Push a folder of code as an image, without a container engine. `python -m embedded_aws push` uses it."""

import json
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from moto.ecr.models import ecr_backends
from werkzeug import Request, Response

from embedded_aws.ecr.images import Registry
from embedded_aws.moto_state import moto_lock

PUSH_PATH = "/_embedded_aws/images"


class FolderPush:
    """A WSGI application that stores a copy of a folder as the task root of an image.

    The request is JSON with `region`, `repository`, `tag`, `folder` (an absolute path on this machine), `handler` and
    `architecture`. The response has `image_uri`, or `error` with status 400.
    """

    def __init__(self, account: str, registry: Registry) -> None:
        self._account = account
        self._registry = registry
        self._copies: list[Path] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Respond to a request."""
        request = Request(environ)
        try:
            if request.host.partition(":")[0] not in ("127.0.0.1", "localhost") or not request.is_json:
                # A web page in a browser on this machine must not be able to run code: it cannot send JSON to another
                # origin, and a name that it resolves to 127.0.0.1 is not in this list.
                raise ValueError("only a JSON request to 127.0.0.1 or localhost can push a folder")
            members, status = {"image_uri": self._push(**request.get_json())}, 200
        except (ValueError, TypeError, OSError) as error:
            members, status = {"error": str(error)}, 400
        response = Response(json.dumps(members), status, content_type="application/json")
        return response(environ, start_response)

    def close(self) -> None:
        """Delete the copies."""
        while self._copies:
            shutil.rmtree(self._copies.pop(), ignore_errors=True)

    def _push(self, *, region: str, repository: str, tag: str, folder: str, handler: str, architecture: str) -> str:
        """Return the URI of the image with its tag. Raise ValueError if the repository does not exist."""
        if repository not in ecr_backends[self._account][region].repositories:
            raise ValueError(
                f"The repository {repository} does not exist in {region}. "
                f"Create it first: aws ecr create-repository --repository-name {repository}"
            )
        copy = Path(tempfile.mkdtemp(prefix="embedded-aws-image-"))
        self._copies.append(copy)
        shutil.copytree(folder, copy, symlinks=True, dirs_exist_ok=True)
        with moto_lock:
            self._registry.push(region, repository, copy, [handler], architecture, tag)
        return f"{self._registry.uri(region, repository)}:{tag}"
