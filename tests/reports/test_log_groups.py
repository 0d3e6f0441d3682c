"""Test reported problems with log groups.

Each test is named after the report. It reproduces the problem, and shows that the deploy tool avoids it.
"""

from pathlib import Path

from tests.support.bake import Bake
from tests.support.deployed_stage import NAME, deployed_stage
from tests.support.sample_function import SampleFunction


def test_cloud_custodian_1792_a_log_group_created_by_lambda_never_expires(bake: Bake, tmp_path: Path) -> None:
    """cloud-custodian/cloud-custodian#1792: and deleting the function does not delete it.

    The deploy tool creates the log group before the function, and `destroy` deletes it.
    """
    with deployed_stage(bake, tmp_path) as stage:
        sample = SampleFunction(stage.aws, tmp_path)
        sample.create()
        sample.invoke()
        sample.client.delete_function(FunctionName="sample")
        logs = stage.aws.client("logs")
        (group,) = logs.describe_log_groups()["logGroups"]
        assert (group["logGroupName"], group.get("retentionInDays")) == ("/aws/lambda/sample", None)

        stage.release("old")
        operations = [call.operation for call in stage.aws.calls if call.params.get("FunctionName", NAME) == NAME]
        assert operations.index("CreateLogGroup") < operations.index("CreateFunction")
        (group,) = logs.describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{NAME}")["logGroups"]
        assert group["retentionInDays"] == 30
        policy = stage.aws.client("iam").get_role_policy(RoleName=NAME, PolicyName="service")["PolicyDocument"]
        assert "logs:CreateLogGroup" not in str(policy)
        assert stage.deploy("destroy", typed=f"{NAME}\n").code == 0
        assert [group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]] == ["/aws/lambda/sample"]
