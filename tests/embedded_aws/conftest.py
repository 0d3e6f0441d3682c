"""Fixtures for the tests of the embedded AWS."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from embedded_aws.clock import ManualClock
from embedded_aws.server import EmbeddedAws
from tests.support.sample_function import NAME, SampleFunction


@pytest.fixture
def aws(tmp_path: Path) -> Iterator[EmbeddedAws]:
    """An embedded AWS whose clock only a test advances. It is closed before its images in `tmp_path` are deleted."""
    with EmbeddedAws(clock=ManualClock()) as aws:
        yield aws


@pytest.fixture
def sample(aws: EmbeddedAws, tmp_path: Path) -> SampleFunction:
    """A function that the test creates."""
    return SampleFunction(aws, tmp_path)


@pytest.fixture
def live(sample: SampleFunction) -> SampleFunction:
    """A function with version 1 and the alias `live`."""
    sample.create()
    sample.client.create_alias(FunctionName=NAME, Name="live", FunctionVersion=sample.publish())
    return sample
