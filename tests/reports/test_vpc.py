"""Test reported problems with functions in a VPC.

Each test is named after the report. It reproduces the problem, and shows that the template explains it.
"""

import shutil
from pathlib import Path

from tests.support.bake import Bake
from tests.support.deployed_stage import copying_bake, deployed_stage, task_root
from tests.support.sample_function import SampleFunction
from tests.support.subnets import default_security_group, make_subnet

HANDLER_WITH_LONG_TIMEOUT = """
import os, urllib.request

def handler(event, context):
    urllib.request.urlopen(os.environ["AWS_ENDPOINT_URL"], timeout=60)
"""
# Read a secret in INIT, as the generated service does.
HANDLER_THAT_READS_SSM = """
from aws_lambda.sigv4 import call_aws

request = {"Names": ["/my-api/prod/DATABASE_URL"], "WithDecryption": True}
value = call_aws("ssm", "AmazonSSM.GetParameters", request)["Parameters"][0]["Value"]

def handler(event, context):
    return {"statusCode": 200, "body": value}
"""


def test_aws_sdk_js_2510_a_function_in_a_vpc_hangs_without_a_route_to_ssm(bake: Bake, tmp_path: Path) -> None:
    """aws/aws-sdk-js-v3#2510: its connection attempts get no response.

    `doctor` and the service report the missing route. An interface endpoint fixes it.
    """
    with deployed_stage(copying_bake(bake, tmp_path), tmp_path, migrations="alembic") as stage:
        ec2 = stage.aws.client("ec2")
        vpc, subnet = make_subnet(ec2)
        group = default_security_group(ec2, vpc)
        network = {"SubnetIds": [subnet], "SecurityGroupIds": [group]}
        allow_ec2 = {"Effect": "Allow", "Action": "ec2:*", "Resource": "*"}
        sample = SampleFunction(stage.aws, tmp_path)
        sample.create(HANDLER_WITH_LONG_TIMEOUT, Role=sample.role("vpc", allow_ec2), VpcConfig=network, Timeout=1)
        assert sample.invoke().payload["errorMessage"].endswith("Error: Task timed out after 1.00 seconds")

        stage.project.edit(
            "deploy.toml",
            "[stages.dev]",
            f"""[vpc]\nsubnet_ids = ["{subnet}"]\nsecurity_group_ids = ["{group}"]\n\n[stages.dev]""",
        )
        assert f"No route leads from {subnet} to com.amazonaws.us-east-1.ssm." in stage.deploy("doctor").out
        root = task_root(tmp_path, "reads", HANDLER_THAT_READS_SSM)
        stage.project.edit("aws_lambda/sigv4.py", "TIMEOUT_S = 2", "TIMEOUT_S = 0.5")  # INIT waits four times
        shutil.copy(stage.project.path / "aws_lambda/sigv4.py", root / "aws_lambda/sigv4.py")
        image = stage.aws.push_image("built-elsewhere", root)
        run = stage.deploy("--image", image)
        assert run.code == 1
        assert "A function in a VPC needs a NAT gateway or an interface endpoint for ssm" in run.err

        service = "com.amazonaws.us-east-1.ssm"
        ec2.create_vpc_endpoint(VpcId=vpc, ServiceName=service, VpcEndpointType="Interface", SubnetIds=[subnet])
        assert f"ok       network: an interface endpoint leads to {service}\n" in stage.deploy("doctor").out
        assert stage.deploy("--image", image).code == 0
        assert stage.get() == "postgresql://nowhere"
