"""Keep the .venv that ./deploy.sh creates, so that the next demo installs nothing."""

import hashlib
import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.projects import TEMPLATE

CACHE = TEMPLATE / ".cache"


@contextmanager
def cached_venv(project: Path) -> Iterator[None]:
    """Link the cached .venv for the project's requirements into the project, or cache the .venv that is created now.

    Do nothing if the project already has a .venv or is not a temporary project.
    """
    requirements = (project / "requirements-deploy.txt").read_bytes()
    cached = CACHE / "venv" / hashlib.sha256(requirements + sys.version.encode()).hexdigest()[:16]
    created = project / ".venv"
    if created.exists() or not project.is_relative_to(tempfile.gettempdir()):
        yield
        return
    if (cached / "bin/python").exists():  # False also if the Python that it links to was removed
        created.symlink_to(cached)
        yield
        return
    yield
    if (created / "requirements-deploy.txt").exists():  # ./deploy.sh copies it after the installation
        copy = cached.with_name(f"draft-{uuid.uuid4().hex}")
        shutil.copytree(created, copy, symlinks=True)
        if not (cached / "bin/python").exists():
            shutil.rmtree(cached, ignore_errors=True)
        try:
            copy.rename(cached)
        except OSError:  # another demo has cached one in the meantime
            shutil.rmtree(copy)
