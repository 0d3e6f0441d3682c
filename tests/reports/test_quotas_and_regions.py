"""Test reported problems with quotas of new accounts and services missing in a Region.

Each test is named after the report. It reproduces the problem, and shows that the deploy tool explains it.
"""

from pathlib import Path

import botocore.session
import pytest

from embedded_aws import EmbeddedAws, ManualClock
from scripts.projects import CHOICES
from tests.support.bake import Bake
from tests.support.deployed_stage import NAME, DeployedStage, copying_bake, deployed_stage
from tests.support.sample_function import raises_client_error


def test_zappa_1425_some_regions_have_no_function_urls(
    bake: Bake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """zappa/Zappa#1425: the error of AWS looks like a missing permission.

    The deploy tool explains it before it changes anything.
    """
    # The session of other tests keeps clients for another Region.
    monkeypatch.setattr("tests.support.deploy_tool._session", botocore.session.get_session)
    message = "Unable to determine service/operation name to be authorized"
    for endpoint in CHOICES["endpoint"]:
        project = bake(endpoint=endpoint).copy(tmp_path / endpoint)
        project.edit("deploy.toml", 'region = "us-east-1"', 'region = "eu-south-2"')
        with EmbeddedAws(ManualClock(), region="eu-south-2") as aws:
            stage = DeployedStage(aws, project, tmp_path)
            with raises_client_error("AccessDeniedException", message):
                aws.client("lambda").list_function_url_configs(FunctionName=NAME)
            before = len(aws.calls)
            run = stage.release("old")
            if endpoint == "function_url":
                assert run.code == 1
                assert run.err == (
                    "GetFunctionUrlConfig is not available in this Region.\nSet another region in deploy.toml.\n"
                )
                assert [call.operation for call in aws.calls[before:] if call.mutating] == []
            else:
                assert run.code == 0, run.err


def test_sst_5829_a_new_account_has_a_concurrency_limit_of_ten(bake: Bake, tmp_path: Path) -> None:
    """anomalyco/sst#5829: none of it can be reserved.

    `doctor` reports it, and a deploy fails without changing the service.
    """
    with deployed_stage(bake, tmp_path, cold_starts="provisioned_concurrency") as stage:
        assert stage.release("old").code == 0
        stage.aws.lambda_state().account_concurrency = 10
        message = "account's UnreservedConcurrentExecution below its minimum value of [10]"
        with raises_client_error("InvalidParameterValueException", message):
            stage.aws.client("lambda").put_function_concurrency(FunctionName=NAME, ReservedConcurrentExecutions=1)
        doctor = stage.deploy("doctor")
        assert doctor.code == 1
        assert (
            "PROBLEM  concurrency: deploy.toml needs 4 concurrent executions. "
            "10 of this account's 10 are not reserved, and 10 of them must stay unreserved.\n"
        ) in doctor.out
        run = stage.release("new")
        assert run.code == 1
        assert message in run.err
        assert stage.get() == "old"


def test_power_tuning_181_a_new_account_has_a_memory_limit_of_3008_mb(bake: Bake, tmp_path: Path) -> None:
    """alexcasalboni/aws-lambda-power-tuning#181: only the error contains the limit. A deploy prints it."""
    with deployed_stage(copying_bake(bake, tmp_path), tmp_path) as stage:
        assert stage.release("old").code == 0
        stage.aws.lambda_state().account_memory_mb = 3008
        message = "'MemorySize' value failed to satisfy constraint: Member must have value less than or equal to 3008"
        with raises_client_error("ValidationException", message):
            stage.aws.client("lambda").update_function_configuration(FunctionName=NAME, MemorySize=3009)
        stage.project.edit("deploy.toml", "memory_mb = 512", "memory_mb = 4096")
        before = len(stage.aws.calls)
        run = stage.release("new")
        assert run.code == 1
        assert message in run.err
        assert [call.operation for call in stage.aws.calls[before:] if call.mutating] == ["UpdateFunctionConfiguration"]
        assert stage.get() == "old"
