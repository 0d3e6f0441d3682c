"""Keep the .venv that ./deploy.sh creates, so that the next demo installs nothing."""

import hashlib
import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from embedded_aws.containers.layers import delete_unused
from scripts.projects import TEMPLATE

CACHE = TEMPLATE / ".cache"
KEPT_DAYS = 30


@contextmanager
def cached_venv(project: Path) -> Iterator[None]:
    """Link the cached .venv for the project's requirements into the project, or cache the .venv that is created now.

    Do nothing if the project already has a .venv or is not a temporary project. Delete the cached ones that were not
    used for 30 days.
    """
    requirements = (project / "requirements-deploy.txt").read_bytes()
    cached = CACHE / "venv" / hashlib.sha256(requirements + sys.version.encode()).hexdigest()[:16]
    created = project / ".venv"
    if created.exists() or not project.is_relative_to(tempfile.gettempdir()):
        yield
        return
    if (cached / "bin/python").exists():  # False also if the Python that it links to was removed
        os.utime(cached)
        created.symlink_to(cached)
        yield
        return
    yield
    if (created / "requirements-deploy.txt").exists():  # ./deploy.sh copies it after the installation
        store(created, cached)
        delete_unused(cached.parent, KEPT_DAYS)


def store(created: Path, cached: Path) -> None:
    """Copy a virtual environment into the cache, unless another demo has cached one in the meantime."""
    draft = cached.with_name(f"draft-{uuid.uuid4().hex}")
    try:
        shutil.copytree(created, draft, symlinks=True)
        os.utime(draft)  # copytree keeps the time of the original
        if not (cached / "bin/python").exists():
            shutil.rmtree(cached, ignore_errors=True)
        with suppress(OSError):  # the folder exists: another demo has cached one
            draft.rename(cached)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
