"""Test that Ctrl-C during a first deploy does no harm: the next deploy continues, and `destroy` deletes everything.

test_faults.py interrupts every kind of run at every call, and test_domain.py the deploy of a domain.
"""

import itertools
from pathlib import Path

import pytest

from scripts.projects import COMBINATIONS
from tests.support.bake import Bake
from tests.support.deploy_tool import remaining_resources
from tests.support.deployed_stage import NAME, DeployedStage, deployed_stage, interrupt_at_change


def test_an_interrupted_first_deploy_is_completed_by_the_next_one(
    stage: DeployedStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        interrupt_at_change(patched, 5, "after")
        interrupted = stage.release("old")
    assert interrupted.code == 130
    assert interrupted.err == "Interrupted. Run the same command again to continue.\n"
    assert stage.release("old").code == 0
    assert stage.live_version() == "1"


def test_destroy_deletes_what_an_interrupted_first_deploy_has_created(
    bake: Bake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in itertools.count(1):
        with deployed_stage(bake, tmp_path, **COMBINATIONS[-1]) as stage:
            with monkeypatch.context() as patched:
                interrupt_at_change(patched, number, "before")
                first = stage.release("new")
            destroyed = stage.deploy("destroy", typed=f"{NAME}\n")
            assert destroyed.code == 0, destroyed.err
            assert destroyed.out.endswith("0 left\n")
            assert remaining_resources(stage.aws) == []
        if first.code == 0:  # the deploy makes fewer changes, so it was not interrupted
            break
    assert number > 8
