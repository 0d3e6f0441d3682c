"""Do two deploys of one stage at the same time end with one of them live as a whole, and the other told so?"""

import itertools
import threading
import urllib.request
from functools import partial
from pathlib import Path

import pytest

from tests.baking import CHOICES
from tests.conftest import Bake
from tests.deploying import Run, deploy_sh
from tests.embedded_aws import EmbeddedAws
from tests.scene import Scene, before_change, scene, task_root

RELEASES = ("zero", "one", "two")


@pytest.mark.parametrize("first", [True, False], ids=["first deploy", "update"])
@pytest.mark.parametrize("endpoint", CHOICES["endpoint"])
def test_one_wins_and_the_other_says_why_it_stopped(bake: Bake, tmp_path: Path, endpoint: str, first: bool) -> None:
    project = bake(endpoint=endpoint)
    with EmbeddedAws() as aws:
        roots = {release: task_root(tmp_path, release) for release in RELEASES}
        images = {release: aws.push_image("built-elsewhere", root) for release, root in roots.items()}
        if not first:
            assert deploy_sh(project, aws, "--image", images["zero"]).code == 0
        start, runs = threading.Barrier(2), dict[str, Run]()

        def deploy(release: str) -> None:
            start.wait()
            runs[release] = deploy_sh(project, aws, "--image", images[release])

        threads = [threading.Thread(target=deploy, args=(release,)) for release in RELEASES[1:]]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        winners = [run for run in runs.values() if run.code == 0]  # both, where one began when the other was done
        assert winners
        for run in runs.values():
            if run.code != 0:
                stopped(run)
        with urllib.request.urlopen(winners[0].url, timeout=30) as answer:
            assert runs[answer.read().decode()].code == 0


def stopped(run: Run) -> None:
    assert run.code == 1
    assert run.err.startswith("Another deploy")
    assert len(run.err.splitlines()) == 2


@pytest.mark.parametrize("live", [None, "old"], ids=["first deploy", "update"])
@pytest.mark.parametrize("endpoint", CHOICES["endpoint"])
def test_another_deploy_between_any_two_changes(
    bake: Bake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, endpoint: str, live: str | None
) -> None:
    for number in itertools.count(1):
        with scene(bake, tmp_path, endpoint=endpoint) as on:
            if live:
                on.release(live)
            with monkeypatch.context() as patched:
                others = list[Run]()
                before_change(patched, number, partial(release_new, on, others))
                run = on.release("other")
            if not others:  # every change was tried
                break
            assert others[0].code == 0, others[0]
            assert on.answer() == "new"
            if run.code != 0:
                stopped(run)
            assert on.release("other").code == 0
            assert on.answer() == "other"
    assert number > 3


def release_new(on: Scene, runs: list[Run]) -> None:
    runs.append(on.release("new"))
