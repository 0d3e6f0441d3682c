"""Problems with URLs, roles, networks, quotas and Regions that others reported: the deploy tool handles each of them.

Each test is named after the report, and first shows that the embedded AWS has the problem. Those about domains are in
deploy_tool/test_domain.py.
"""

import json
import shutil
import urllib.error
from pathlib import Path

import botocore.session
import pytest

from embedded_aws import Delays, EmbeddedAws, ManualClock
from embedded_aws.ec2.vpc import make_subnet
from embedded_aws.iam.policy import allows
from scripts.projects import CHOICES
from tests.support.bake import Bake
from tests.support.deployed_stage import NAME, DeployedStage, copying_bake, deployed_stage, task_root
from tests.support.sample_function import SampleFunction, raises_client_error

LIVE = {"FunctionName": NAME, "Qualifier": "live"}
ASKS_AND_WAITS = """
import os, urllib.request

def handler(event, context):
    urllib.request.urlopen(os.environ["AWS_ENDPOINT_URL"], timeout=60)
"""
ASKS_AS_OURS_DOES = """
from aws_lambda.sigv4 import call_aws

request = {"Names": ["/my-api/prod/DATABASE_URL"], "WithDecryption": True}
value = call_aws("ssm", "AmazonSSM.GetParameters", request)["Parameters"][0]["Value"]

def handler(event, context):
    return {"statusCode": 200, "body": value}
"""


def test_serverless_13147_a_public_url_needs_two_statements(bake: Bake, tmp_path: Path) -> None:
    """serverless/serverless#13147: since October 2025 lambda:InvokeFunctionUrl alone, once enough, is answered 403."""
    with deployed_stage(bake, tmp_path) as on:
        on.release("old")
        functions = on.aws.client("lambda")
        for statement in ("public-url", "public-invoke"):
            functions.remove_permission(**LIVE, StatementId=statement)
        action = {"Action": "lambda:InvokeFunctionUrl", "FunctionUrlAuthType": "NONE"}
        functions.add_permission(**LIVE, StatementId="public-url", Principal="*", **action)
        with pytest.raises(urllib.error.HTTPError, match="403"):
            on.get()
        assert on.release("old").code == 0
        assert on.get() == "old"


def test_zappa_1455_the_second_statement_without_a_condition_opens_direct_invoke(bake: Bake, tmp_path: Path) -> None:
    """zappa/Zappa#1455: to any AWS account, past the URL, its metrics and its alarms."""
    with deployed_stage(bake, tmp_path) as on:
        on.release("old")
        functions = on.aws.client("lambda")

        def stranger_may_invoke() -> bool:
            policy = json.loads(functions.get_policy(**LIVE)["Policy"])
            return allows(policy["Statement"], "lambda:InvokeFunction", principal="*")

        functions.remove_permission(**LIVE, StatementId="public-invoke")
        functions.add_permission(**LIVE, StatementId="public-invoke", Action="lambda:InvokeFunction", Principal="*")
        assert on.get() == "old"
        assert stranger_may_invoke()
        assert on.release("old").code == 0
        assert on.get() == "old"
        assert not stranger_may_invoke()


def test_pulumi_aws_native_148_a_fresh_role_cannot_be_assumed(bake: Bake, tmp_path: Path) -> None:
    """pulumi/pulumi-aws-native#148: Lambda cannot assume a new role for some seconds: IAM is eventually consistent."""
    with deployed_stage(bake, tmp_path, Delays(role_s=20)) as on:
        sample = SampleFunction(on.aws, tmp_path)
        definition = sample.definition(Role=sample.role(wait=False))
        with raises_client_error(
            "InvalidParameterValueException", "The role defined for the function cannot be assumed by Lambda."
        ):
            sample.client.create_function(**definition)
        began = on.aws.clock.time()
        assert on.release("old").code == 0
        assert on.aws.clock.time() - began > 20
    with deployed_stage(bake, tmp_path, Delays(role_s=600)) as on:
        assert on.release("old").err == (
            f"Lambda did not accept a change of {NAME} (an update is in progress, or its role is not usable yet) "
            "within 300 s.\nRun the same command again to continue.\n"
        )


def test_community_aws_830_a_change_during_an_update_is_a_conflict(bake: Bake, tmp_path: Path) -> None:
    """ansible-collections/community.aws#830: be it another program's, or that of a deploy that was killed."""
    with deployed_stage(bake, tmp_path, Delays(update_s=30)) as on:
        on.release("old")
        functions = on.aws.client("lambda")
        functions.update_function_configuration(FunctionName=NAME, Timeout=10)
        message = "The operation cannot be performed at this time. An update is in progress for resource"
        with raises_client_error("ResourceConflictException", message):
            functions.update_function_code(FunctionName=NAME, ImageUri=on.images["new"])
        assert on.release("new").code == 0
        assert on.get() == "new"


def test_aws_sdk_js_2510_a_function_in_a_vpc_hangs_without_a_route_to_its_secrets(bake: Bake, tmp_path: Path) -> None:
    """aws/aws-sdk-js-v3#2510. `doctor` finds the missing route, the service reports it, and an endpoint fixes it."""
    with deployed_stage(copying_bake(bake, tmp_path), tmp_path, migrations="alembic") as on:
        ec2 = on.aws.client("ec2")
        vpc, subnet = make_subnet(ec2)
        network = {"SubnetIds": [subnet], "SecurityGroupIds": ["sg-0123456789abcdef0"]}
        may_connect = {"Effect": "Allow", "Action": "ec2:*", "Resource": "*"}
        sample = SampleFunction(on.aws, tmp_path)
        sample.create(ASKS_AND_WAITS, Role=sample.role("connects", may_connect), VpcConfig=network, Timeout=1)
        assert sample.invoke().payload["errorMessage"].endswith("Error: Task timed out after 1.00 seconds")

        on.project.edit(
            "deploy.toml",
            "[stages.dev]",
            f"""[vpc]\nsubnet_ids = ["{subnet}"]\nsecurity_group_ids = ["sg-1"]\n\n[stages.dev]""",
        )
        assert f"No route leads from {subnet} to com.amazonaws.us-east-1.ssm." in on.deploy("doctor").out
        root = task_root(tmp_path, "reads", ASKS_AS_OURS_DOES)
        on.project.edit("aws_lambda/sigv4.py", "TIMEOUT_S = 2", "TIMEOUT_S = 0.5")  # which INIT needs four times here
        shutil.copy(on.project.path / "aws_lambda/sigv4.py", root / "aws_lambda/sigv4.py")
        image = on.aws.push_image("built-elsewhere", root)
        lost = on.deploy("--image", image)
        assert lost.code == 1
        assert "A function in a VPC needs a NAT gateway or an interface endpoint for ssm" in lost.err

        service = "com.amazonaws.us-east-1.ssm"
        ec2.create_vpc_endpoint(VpcId=vpc, ServiceName=service, VpcEndpointType="Interface", SubnetIds=[subnet])
        assert f"ok       network: an interface endpoint leads to {service}\n" in on.deploy("doctor").out
        assert on.deploy("--image", image).code == 0
        assert on.get() == "postgresql://nowhere"


def test_cloud_custodian_1792_a_log_group_that_lambda_makes_never_expires(bake: Bake, tmp_path: Path) -> None:
    """cloud-custodian/cloud-custodian#1792: nor does it go with its function. Ours is there before the function."""
    with deployed_stage(bake, tmp_path) as on:
        sample = SampleFunction(on.aws, tmp_path)
        sample.create()
        sample.invoke()
        sample.client.delete_function(FunctionName="sample")
        logs = on.aws.client("logs")
        (group,) = logs.describe_log_groups()["logGroups"]
        assert (group["logGroupName"], group.get("retentionInDays")) == ("/aws/lambda/sample", None)

        on.release("old")
        made = [call.operation for call in on.aws.calls if call.params.get("FunctionName", NAME) == NAME]
        assert made.index("CreateLogGroup") < made.index("CreateFunction")
        (group,) = logs.describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{NAME}")["logGroups"]
        assert group["retentionInDays"] == 30
        policy = on.aws.client("iam").get_role_policy(RoleName=NAME, PolicyName="service")["PolicyDocument"]
        assert "logs:CreateLogGroup" not in str(policy)
        assert on.deploy("destroy", typed=f"{NAME}\n").code == 0
        assert [one["logGroupName"] for one in logs.describe_log_groups()["logGroups"]] == ["/aws/lambda/sample"]


def test_zappa_1425_some_regions_have_no_function_urls(
    bake: Bake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """zappa/Zappa#1425: AWS reports it like a missing permission. The deploy tool explains it first."""
    monkeypatch.setattr(
        "tests.support.deploy_tool._session", botocore.session.get_session
    )  # whose clients are for this Region
    message = "Unable to determine service/operation name to be authorized"
    for endpoint in CHOICES["endpoint"]:
        project = bake(endpoint=endpoint).copy(tmp_path / endpoint)
        project.edit("deploy.toml", 'region = "us-east-1"', 'region = "eu-south-2"')
        with EmbeddedAws(ManualClock(), region="eu-south-2") as aws:
            on = DeployedStage(aws, project, tmp_path)
            with raises_client_error("AccessDeniedException", message):
                aws.client("lambda").list_function_url_configs(FunctionName=NAME)
            before = len(aws.calls)
            run = on.release("old")
            if endpoint == "function_url":
                assert run.code == 1
                assert run.err == (
                    "GetFunctionUrlConfig is not available in this Region.\nSet another region in deploy.toml.\n"
                )
                assert [call.operation for call in aws.calls[before:] if call.mutating] == []
            else:
                assert run.code == 0, run.err


def test_sst_5829_a_new_account_runs_ten_requests_at_once(bake: Bake, tmp_path: Path) -> None:
    """anomalyco/sst#5829: it cannot reserve any of them. `doctor` reports it, and a deploy stops."""
    with deployed_stage(bake, tmp_path, cold_starts="provisioned_concurrency") as on:
        assert on.release("old").code == 0
        on.aws.lambda_state().account_concurrency = 10
        message = "account's UnreservedConcurrentExecution below its minimum value of [10]"
        with raises_client_error("InvalidParameterValueException", message):
            on.aws.client("lambda").put_function_concurrency(FunctionName=NAME, ReservedConcurrentExecutions=1)
        doctor = on.deploy("doctor")
        assert doctor.code == 1
        assert (
            "PROBLEM  concurrency: deploy.toml needs 4 concurrent executions. "
            "10 of this account's 10 are not reserved, and 10 of them must stay unreserved.\n"
        ) in doctor.out
        run = on.release("new")
        assert run.code == 1
        assert message in run.err
        assert on.get() == "old"


def test_power_tuning_181_a_new_account_has_3008_mb(bake: Bake, tmp_path: Path) -> None:
    """alexcasalboni/aws-lambda-power-tuning#181: which only the refusal tells. A deploy passes it on."""
    with deployed_stage(copying_bake(bake, tmp_path), tmp_path) as on:
        assert on.release("old").code == 0
        on.aws.lambda_state().account_memory_mb = 3008
        message = "'MemorySize' value failed to satisfy constraint: Member must have value less than or equal to 3008"
        with raises_client_error("ValidationException", message):
            on.aws.client("lambda").update_function_configuration(FunctionName=NAME, MemorySize=3009)
        on.project.edit("deploy.toml", "memory_mb = 512", "memory_mb = 4096")
        before = len(on.aws.calls)
        run = on.release("new")
        assert run.code == 1
        assert message in run.err
        assert [call.operation for call in on.aws.calls[before:] if call.mutating] == ["UpdateFunctionConfiguration"]
        assert on.get() == "old"
