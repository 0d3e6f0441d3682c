"""Fixtures of the embedded AWS's own tests; a module of their own, so that pytest can load it as a plugin."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from embedded_aws.clock import ManualClock
from embedded_aws.server import EmbeddedAws
from tests.support.sample_function import SampleFunction


@pytest.fixture
def aws() -> Iterator[EmbeddedAws]:
    """An AWS whose clock stands still until a test advances it."""
    with EmbeddedAws(clock=ManualClock()) as aws:
        yield aws


@pytest.fixture
def sample(aws: EmbeddedAws, tmp_path: Path) -> SampleFunction:
    return SampleFunction(aws, tmp_path)
