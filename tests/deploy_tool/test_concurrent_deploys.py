"""Test two deploys of a stage at the same time: at least one succeeds, and the other says why it stopped."""

import itertools
import threading
import urllib.request
from functools import partial
from pathlib import Path

import pytest

from embedded_aws import EmbeddedAws
from scripts.deploy_tool import Run, run_deploy_sh
from scripts.projects import CHOICES
from tests.support.bake import Bake
from tests.support.deployed_stage import DeployedStage, deployed_stage, run_before_change, task_root

RELEASES = ("zero", "one", "two")


@pytest.mark.parametrize("is_first", [True, False], ids=["first deploy", "update"])
@pytest.mark.parametrize("endpoint", CHOICES["endpoint"])
def test_at_least_one_deploy_succeeds_and_the_other_says_why_it_stopped(
    bake: Bake, tmp_path: Path, endpoint: str, is_first: bool
) -> None:
    project = bake(endpoint=endpoint)
    with EmbeddedAws() as aws:
        roots = {release: task_root(tmp_path, release) for release in RELEASES}
        images = {release: aws.push_image("built-elsewhere", root) for release, root in roots.items()}
        if not is_first:
            assert run_deploy_sh(project, aws, "--image", images["zero"]).code == 0
        start, runs = threading.Barrier(2), dict[str, Run]()

        def deploy(release: str) -> None:
            start.wait()
            runs[release] = run_deploy_sh(project, aws, "--image", images[release])

        threads = [threading.Thread(target=deploy, args=(release,)) for release in RELEASES[1:]]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        winners = [run for run in runs.values() if run.code == 0]  # both, if they did not overlap
        assert winners
        for run in runs.values():
            if run.code != 0:
                assert_stopped(run)
        with urllib.request.urlopen(winners[0].url, timeout=30) as response:
            assert runs[response.read().decode()].code == 0


def assert_stopped(run: Run) -> None:
    assert run.code == 1
    message, hint = run.err.splitlines()
    assert message.startswith("Another deploy ")
    assert hint.startswith("Run ./deploy.sh status, then ")


@pytest.mark.parametrize("live", [None, "old"], ids=["first deploy", "update"])
@pytest.mark.parametrize("endpoint", CHOICES["endpoint"])
def test_another_deploy_can_run_before_any_change_of_a_deploy(
    bake: Bake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, endpoint: str, live: str | None
) -> None:
    for number in itertools.count(1):
        with deployed_stage(bake, tmp_path, endpoint=endpoint) as stage:
            if live:
                stage.release(live)
            concurrent_runs = list[Run]()
            with monkeypatch.context() as patched:
                run_before_change(patched, number, partial(release_new, stage, concurrent_runs))
                run = stage.release("other")
            if not concurrent_runs:  # the deploy makes fewer changes
                break
            assert concurrent_runs[0].code == 0, concurrent_runs[0]
            assert stage.get() == "new"
            if run.code != 0:
                assert_stopped(run)
            assert stage.release("other").code == 0
            assert stage.get() == "other"
    assert number > 3


def release_new(stage: DeployedStage, runs: list[Run]) -> None:
    runs.append(stage.release("new"))
