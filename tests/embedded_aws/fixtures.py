"""Fixtures of the embedded AWS's own tests; a module of their own, so that pytest can load it as a plugin."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from .clock import ManualClock
from .sample import Sample
from .server import EmbeddedAws


@pytest.fixture
def aws() -> Iterator[EmbeddedAws]:
    """An AWS whose clock stands still until a test advances it."""
    with EmbeddedAws(clock=ManualClock()) as aws:
        yield aws


@pytest.fixture
def sample(aws: EmbeddedAws, tmp_path: Path) -> Sample:
    return Sample(aws, tmp_path)
