"""Test that a function which is neither Active nor Inactive is not ready: a deploy waits, and ends with an error."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest

from embedded_aws import Call, Delays
from tests.support.bake import Bake
from tests.support.deployed_stage import NAME, DeployedStage, copying_bake, deployed_stage

STATES = ["ActiveNonInvocable", "Hibernating"]  # the second one is not AWS's


def set_state_of_new_versions(stage: DeployedStage, state: str) -> Callable[[], None]:
    """Let new versions be in this state, until the function that this returns is called."""

    def hook(call: Call, number: int, when: Literal["before", "after"]) -> None:
        if (call.operation, when) == ("PublishVersion", "after"):
            versions = stage.aws.lambda_state().functions[NAME].published
            stage.aws.set_state(NAME, max(versions, key=int), state, "DependencyError")

    return stage.aws.hook(hook)


@pytest.mark.parametrize("state", STATES)
def test_a_new_version_in_another_state_is_not_released(stage: DeployedStage, state: str) -> None:
    assert stage.release("old").code == 0
    end = set_state_of_new_versions(stage, state)
    run = stage.release("new")
    assert run.code == 1
    assert run.err == "Version 2 was not ready within 900 s.\nRun the same command again to continue.\n"
    assert "Invoke" not in stage.calls
    assert stage.get() == "old"
    end()
    stage.aws.set_state(NAME, "2", "")
    assert stage.release("new").code == 0
    assert (stage.get(), stage.live_version()) == ("new", "2")


@pytest.mark.parametrize("state", STATES)
def test_a_function_in_another_state_is_not_updated(stage: DeployedStage, state: str) -> None:
    assert stage.release("old").code == 0
    stage.aws.set_state(NAME, "$LATEST", state)
    run = stage.release("new")
    assert run.code == 1
    message, hint = run.err.splitlines()
    assert message.startswith(f"Lambda did not accept a change of {NAME} (")
    assert message.endswith(" within 300 s.")
    assert hint == "Run the same command again to continue."
    assert stage.get() == "old"
    stage.aws.set_state(NAME, "$LATEST", "")
    assert stage.release("new").code == 0


@pytest.mark.parametrize("state", STATES)
def test_a_live_version_in_another_state_is_reported(stage: DeployedStage, state: str) -> None:
    assert stage.release("old").code == 0
    stage.aws.set_state(NAME, "live", state)
    assert f"\nstate      {state}" in stage.deploy("status").out
    run = stage.release("old")
    assert run.code == 1
    assert run.err == f"{NAME}:1 was not reactivated within 300 s.\nRun the same command again to continue.\n"


def test_destroy_waits_until_the_function_is_deleted_and_a_deploy_creates_it_again(bake: Bake, tmp_path: Path) -> None:
    with deployed_stage(copying_bake(bake, tmp_path), tmp_path, Delays(delete_s=30)) as stage:
        assert stage.release("old").code == 0
        destroyed = stage.deploy("destroy", "--yes")
        assert destroyed.code == 0, destroyed.err
        assert destroyed.out.endswith("\n0 left\n")
        assert stage.aws.client("lambda").list_functions()["Functions"] == []
        assert stage.release("new").code == 0
        assert stage.get() == "new"


def test_a_deletion_that_takes_too_long_ends_a_command(bake: Bake, tmp_path: Path) -> None:
    with deployed_stage(copying_bake(bake, tmp_path), tmp_path, Delays(delete_s=1_000)) as stage:
        assert stage.release("old").code == 0
        run = stage.deploy("destroy", "--yes")
        message = f"Lambda did not delete {NAME} within 300 s.\nRun the same command again to continue.\n"
        assert (run.code, run.err) == (1, message)
        message = f"Lambda is still deleting {NAME}.\nWait a minute, then run the same command again.\n"
        for command in ("deploy", "destroy"):
            run = stage.deploy(command, *(["--yes"] if command == "destroy" else ["--image", stage.images["old"]]))
            assert (run.code, run.err) == (1, message)
        stage.aws.clock.advance(1_000)
        assert stage.deploy("destroy", "--yes").code == 0
        assert stage.release("old").code == 0
