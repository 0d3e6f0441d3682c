"""Test deploys whose public URL is new: it refuses connections and requests until it is known everywhere."""

from pathlib import Path
from typing import Literal

import pytest

from embedded_aws import Call, Delays
from scripts.projects import CHOICES
from tests.support.bake import Bake
from tests.support.deployed_stage import NAME, DeployedStage, deployed_stage

COLD_STARTS = ["accept", "provisioned_concurrency"]


def delete_url(stage: DeployedStage) -> None:
    """Delete the function URL or the HTTP API, so that the next deploy creates a new one."""
    gateway = stage.aws.client("apigatewayv2")
    for api in gateway.get_apis()["Items"]:
        gateway.delete_api(ApiId=api["ApiId"])
    functions = stage.aws.client("lambda")
    for config in functions.list_function_url_configs(FunctionName=NAME)["FunctionUrlConfigs"]:
        functions.delete_function_url_config(FunctionName=NAME, Qualifier=config["FunctionArn"].rpartition(":")[2])


def provisioned_versions(stage: DeployedStage) -> list[str]:
    """Return the numbers of the versions with provisioned concurrency, which AWS bills."""
    configs = stage.aws.client("lambda").list_provisioned_concurrency_configs(FunctionName=NAME)
    return [config["FunctionArn"].rpartition(":")[2] for config in configs["ProvisionedConcurrencyConfigs"]]


@pytest.mark.parametrize("endpoint", CHOICES["endpoint"])
def test_a_deploy_waits_for_a_new_url(bake: Bake, tmp_path: Path, endpoint: str) -> None:
    with deployed_stage(bake, tmp_path, Delays(connect_s=20, url_s=20), endpoint=endpoint) as stage:
        started = stage.aws.clock.time()
        run = stage.release("old")
        assert run.code == 0, run.err
        assert 40 <= stage.aws.clock.time() - started < 60
        assert stage.get() == "old"


@pytest.mark.parametrize("endpoint", CHOICES["endpoint"])
def test_the_deploy_after_an_interrupted_one_waits_for_the_url(bake: Bake, tmp_path: Path, endpoint: str) -> None:
    """The URL exists, so the second deploy does not create it."""

    def press_ctrl_c(call: Call, number: int, when: Literal["before", "after"]) -> None:
        if call.operation == "PutMetricAlarm":
            raise KeyboardInterrupt

    with deployed_stage(bake, tmp_path, Delays(connect_s=20), endpoint=endpoint) as stage:
        remove_hook = stage.aws.hook(press_ctrl_c)
        assert stage.release("old").code == 130
        assert stage.url()
        remove_hook()
        assert stage.release("old").code == 0
        assert stage.get() == "old"


@pytest.mark.parametrize("cold_starts", COLD_STARTS)
@pytest.mark.parametrize("endpoint", CHOICES["endpoint"])
def test_a_release_whose_new_url_cannot_be_reached_is_undone(
    bake: Bake, tmp_path: Path, endpoint: str, cold_starts: str
) -> None:
    delays = Delays(connect_s=100)
    with deployed_stage(bake, tmp_path, delays, endpoint=endpoint, cold_starts=cold_starts) as stage:
        first = stage.release("old")
        assert first.code == 1
        message, hint = first.err.splitlines()
        assert message.startswith(f"{stage.url().rstrip('/')}/ does not answer: ")
        assert hint == "See ./deploy.sh logs --errors"
        stage.aws.clock.advance(100)
        assert stage.release("old").code == 0

        delete_url(stage)
        run = stage.release("new")
        assert run.code == 1
        message, hint = run.err.splitlines()
        assert message.startswith(f"{stage.url().rstrip('/')}/ does not answer: ")
        assert message.endswith(" Version 1 is live again.")
        assert stage.live_version() == "1"
        is_provisioned = cold_starts == "provisioned_concurrency"
        assert provisioned_versions(stage) == (["1"] if is_provisioned else [])

        stage.aws.clock.advance(100)
        assert stage.get() == "old"
        assert stage.release("new").code == 0
        assert (stage.get(), stage.live_version()) == ("new", "2")
        assert provisioned_versions(stage) == (["2"] if is_provisioned else [])
