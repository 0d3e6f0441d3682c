"""Test reported problems with calls that the deploy tool must repeat or must not repeat.

Each test is named after the report. It reproduces the problem, and shows that the deploy tool handles it.
"""

import sys
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ReadTimeoutError

from embedded_aws import Delays
from tests.support.bake import Bake
from tests.support.deployed_stage import NAME, DeployedStage, deployed_stage
from tests.support.sample_function import SampleFunction, raises_client_error


def count_invocations(stage: DeployedStage, function: str) -> int:
    calls = [call for call in stage.aws.calls if call.action == "lambda:InvokeFunction"]
    return len([call for call in calls if call.params["FunctionName"] == function])


def test_pulumi_aws_native_148_a_new_role_cannot_be_assumed_immediately(bake: Bake, tmp_path: Path) -> None:
    """pulumi/pulumi-aws-native#148: IAM is eventually consistent. Lambda cannot assume a new role for some seconds."""
    with deployed_stage(bake, tmp_path, Delays(role_s=20)) as stage:
        sample = SampleFunction(stage.aws, tmp_path)
        definition = sample.definition(Role=sample.role(wait=False))
        with raises_client_error(
            "InvalidParameterValueException", "The role defined for the function cannot be assumed by Lambda."
        ):
            sample.client.create_function(**definition)
        started = stage.aws.clock.time()
        assert stage.release("old").code == 0
        assert stage.aws.clock.time() - started > 20
    with deployed_stage(bake, tmp_path, Delays(role_s=600)) as stage:
        assert stage.release("old").err == (
            f"Lambda did not accept a change of {NAME} (an update is in progress, or its role is not usable yet) "
            "within 300 s.\nRun the same command again to continue.\n"
        )


def test_chalice_1069_kms_does_not_know_a_new_role_immediately(bake: Bake, tmp_path: Path) -> None:
    """aws/chalice#1069: KMS encrypts the variables of a function, and learns of a new role some seconds late."""
    with deployed_stage(bake, tmp_path) as stage:
        sample = SampleFunction(stage.aws, tmp_path)
        definition = sample.definition(Role=sample.role(wait=False), Environment={"Variables": {"STAGE": "prod"}})
        with raises_client_error("InvalidParameterValueException", "ARN does not refer to a valid principal"):
            sample.client.create_function(**definition)
        assert stage.release("old").code == 0
        assert stage.calls.count("CreateFunction") == 2


def test_community_aws_830_a_change_during_an_update_is_a_conflict(bake: Bake, tmp_path: Path) -> None:
    """ansible-collections/community.aws#830: another program or a terminated deploy may have started the update."""
    with deployed_stage(bake, tmp_path, Delays(update_s=30)) as stage:
        stage.release("old")
        functions = stage.aws.client("lambda")
        functions.update_function_configuration(FunctionName=NAME, Timeout=10)
        message = "The operation cannot be performed at this time. An update is in progress for resource"
        with raises_client_error("ResourceConflictException", message):
            functions.update_function_code(FunctionName=NAME, ImageUri=stage.images["new"])
        assert stage.release("new").code == 0
        assert stage.get() == "new"


def test_boto3_1104_boto3_repeats_an_invocation_after_a_minute(
    bake: Bake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """boto/boto3#1104: after 60 s without a response, boto3 sends the request again. A migration would run twice.

    The timeout in this test is 0.5 s instead of 60 s.
    """
    default: Any = Config()
    assert default.read_timeout == 60
    with deployed_stage(bake, tmp_path, migrations="alembic") as stage:
        assert stage.release("old").code == 0
        sample = SampleFunction(stage.aws, tmp_path)
        sample.create(
            "import time\n\ndef handler(event, context):\n    print('runs')\n    time.sleep(60)\n", Timeout=120
        )
        monkeypatch.setattr("botocore.endpoint.time", stage.aws.clock)
        for name, value in stage.aws.environ.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(ReadTimeoutError):
            boto3.Session().client("lambda", config=Config(read_timeout=0.5)).invoke(FunctionName="sample")
        assert count_invocations(stage, "sample") > 1

        before = count_invocations(stage, f"{NAME}-migrate")
        stage.aws.fail("lambda:InvokeFunction", "reset_after")
        run = stage.deploy("migrate", "upgrade")
        assert run.code == 1
        assert "It may still be running" in run.err
        assert count_invocations(stage, f"{NAME}-migrate") == before + 1
        config = sys.modules["deploy.config"].load(stage.project.path / "deploy.toml", "prod")
        invoker = sys.modules["deploy.stage"].Stage(config, stage.project.path).invoker.meta.config
        assert (invoker.read_timeout > 900, invoker.retries["total_max_attempts"]) == (True, 1)
