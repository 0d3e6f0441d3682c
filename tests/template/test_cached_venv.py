"""Test the cache of the virtual environments that demos install."""

import os
import shutil
import tempfile
import time
from pathlib import Path

import pytest

from scripts import cached_venv

DAY_S = 86_400


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the cached environments."""
    monkeypatch.setattr(cached_venv, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path / "cache/venv"


def install(folder: Path) -> Path:
    """Run a demo that installs a virtual environment in a new project. Return the environment."""
    folder.mkdir()
    (folder / "requirements-deploy.txt").write_text(folder.name)
    with cached_venv.cached_venv(folder):
        created = folder / ".venv"
        (created / "bin").mkdir(parents=True)
        (created / "bin/python").touch()
        shutil.copy(folder / "requirements-deploy.txt", created)
    return created


def test_environments_that_were_not_used_for_30_days_are_deleted(cache: Path, tmp_path: Path) -> None:
    install(tmp_path / "first")
    (first,) = cache.iterdir()
    for days, names in ((29, 2), (31, 2)):
        os.utime(first, (time.time() - days * DAY_S,) * 2)
        install(tmp_path / f"after {days} days")
        assert len(list(cache.iterdir())) == names
    assert not first.exists()


def test_an_interrupted_copy_leaves_nothing(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(source: Path, target: Path, **options: object) -> None:
        target.mkdir(parents=True)
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "copytree", interrupt)
    with pytest.raises(KeyboardInterrupt):
        install(tmp_path / "project")
    assert list(cache.iterdir()) == []
