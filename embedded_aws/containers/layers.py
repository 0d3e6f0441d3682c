"""Cache image layers as folders, each under a digest of the instruction and files that it was built from."""

import fcntl
import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

KEPT_DAYS = 14


class Layers:
    """A folder of layers, which several processes can share. `say` gets a line of progress for each layer."""

    def __init__(self, folder: Path, say: Callable[[str], object]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._say = say

    def __getitem__(self, key: str) -> Path:
        return self._folder / key

    @contextmanager
    def create_layer(self, key: str, title: str) -> Iterator[Path | None]:
        """Yield an empty folder that becomes the layer, or None if the layer exists."""
        path = self[key]
        started_at = time.monotonic()
        with open(self._folder / f"{key}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # the kernel releases it even if this process is killed
            if path.exists():
                os.utime(path)
                yield None
                duration = "cached"
            else:
                draft = self._folder / f"draft-{uuid.uuid4().hex}"
                draft.mkdir()
                try:
                    yield draft
                    draft.rename(path)
                finally:
                    shutil.rmtree(draft, ignore_errors=True)
                duration = f"{time.monotonic() - started_at:.1f}s"
        if title:
            self._say(f"{title if len(title) <= 90 else title[:89] + '…'}  ({duration})")

    def delete_unused(self) -> None:
        """Delete the layers that no build has used for two weeks."""
        delete_unused(self._folder, KEPT_DAYS)


def delete_unused(folder: Path, days: int) -> None:
    """Delete the files and folders in a folder whose time of modification is longer ago than this."""
    for path in folder.iterdir():
        try:
            if time.time() - path.stat().st_mtime > days * 86_400:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        except OSError:
            continue  # another process has deleted it


def digest(*words: str) -> str:
    """Return a digest of these strings, to be used as the key of a layer."""
    return hashlib.sha256(json.dumps(words).encode()).hexdigest()[:24]
