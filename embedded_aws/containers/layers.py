"""What a build has done before it does not do again: folders named by a digest of what made them."""

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
    """A folder of layers that any number of processes share."""

    def __init__(self, folder: Path, say: Callable[[str], object]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._say = say

    def __getitem__(self, key: str) -> Path:
        return self._folder / key

    @contextmanager
    def making(self, key: str, title: str) -> Iterator[Path | None]:
        """Yields an empty folder to fill, which becomes the layer; None when it is there already."""
        path = self[key]
        started = time.monotonic()
        with open(self._folder / f"{key}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # the kernel lets go of it, whatever happens to this process
            if path.exists():
                os.utime(path)
                yield None
                took = "cached"
            else:
                draft = self._folder / f"draft-{uuid.uuid4().hex}"
                draft.mkdir()
                try:
                    yield draft
                    draft.rename(path)
                finally:
                    shutil.rmtree(draft, ignore_errors=True)
                took = f"{time.monotonic() - started:.1f}s"
        if title:
            self._say(f"{title if len(title) <= 90 else title[:89] + '…'}  ({took})")

    def forget(self) -> None:
        """Layers that nobody used for two weeks go."""
        for path in self._folder.iterdir():
            try:
                if time.time() - path.stat().st_mtime > KEPT_DAYS * 86_400:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
            except OSError:
                continue  # another process was faster


def digest(*words: str) -> str:
    return hashlib.sha256(json.dumps(words).encode()).hexdigest()[:24]
