"""`destroy` deletes everything that an interrupted first deploy has created."""

import itertools
from pathlib import Path

import pytest

from scripts.projects import COMBINATIONS
from tests.support.bake import Bake
from tests.support.deploy_tool import remaining_resources
from tests.support.deployed_stage import NAME, deployed_stage, interrupt_at_change


def test_destroy_after_a_deploy_that_was_interrupted_before_any_change(
    bake: Bake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in itertools.count(1):
        with deployed_stage(bake, tmp_path, **COMBINATIONS[-1]) as stage:
            with monkeypatch.context() as patched:
                interrupt_at_change(patched, number, "before")
                first = stage.release("new")
            destroyed = stage.deploy("destroy", typed=f"{NAME}\n")
            assert (destroyed.code, destroyed.out[-7:], remaining_resources(stage.aws)) == (0, "0 left\n", []), (
                destroyed
            )
        if first.code == 0:
            break
    assert number > 8
