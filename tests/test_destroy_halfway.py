"""`destroy` deletes everything that an interrupted first deploy has created."""

import itertools
from pathlib import Path

import pytest

from tests.baking import COMBINATIONS
from tests.conftest import Bake
from tests.deploying import left_behind
from tests.scene import NAME, interrupt, scene


def test_destroy_after_a_deploy_that_was_interrupted_before_any_change(
    bake: Bake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in itertools.count(1):
        with scene(bake, tmp_path, **COMBINATIONS[-1]) as stage:
            with monkeypatch.context() as patched:
                interrupt(patched, number, "before")
                first = stage.release("new")
            destroyed = stage.deploy("destroy", typed=f"{NAME}\n")
            assert (destroyed.code, destroyed.out[-7:], left_behind(stage.aws)) == (0, "0 left\n", []), destroyed
        if first.code == 0:
            break
    assert number > 8
