"""Does destroy take all of a first deploy that was interrupted, wherever it was?"""

import itertools
from pathlib import Path

import pytest

from tests.baking import COMBINATIONS
from tests.conftest import Bake
from tests.deploying import left_behind
from tests.scene import NAME, interrupt, scene


def test_interrupted_before_each_change(bake: Bake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in itertools.count(1):
        with scene(bake, tmp_path, **COMBINATIONS[-1]) as on:
            with monkeypatch.context() as patched:
                interrupt(patched, number, "before")
                first = on.release("new")
            gone = on.deploy("destroy", typed=f"{NAME}\n")
            assert (gone.code, gone.out[-7:], left_behind(on.aws)) == (0, "0 left\n", []), gone
        if first.code == 0:
            break
    assert number > 8
