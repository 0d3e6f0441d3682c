"""Test that access to the service and to its documentation can be restricted."""

import json
import urllib.error
import urllib.request
from pathlib import Path

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from embedded_aws import EmbeddedAws
from scripts.projects import Project
from tests.support.bake import Bake
from tests.support.deploy_tool import DeployTool, push_image


def deployed_url(project: Project, aws: EmbeddedAws) -> str:
    """Deploy the project and return its public URL."""
    run = DeployTool(project, aws)("--image", push_image(project, aws))
    assert run.code == 0, run.err
    return run.url


def test_auth_iam_accepts_only_signed_requests(bake: Bake, tmp_path: Path) -> None:
    project = bake().copy(tmp_path)
    project.edit("deploy.toml", 'auth = "none"', 'auth = "iam"')
    with EmbeddedAws() as aws:
        url = deployed_url(project, aws)
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(url, timeout=30)
        request = AWSRequest("GET", url)
        credentials = boto3.Session(
            aws_access_key_id=aws.environ["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=aws.environ["AWS_SECRET_ACCESS_KEY"],
        ).get_credentials()
        assert credentials
        SigV4Auth(credentials, "lambda", "us-east-1").add_auth(request)
        with urllib.request.urlopen(urllib.request.Request(url, headers=dict(request.headers)), timeout=30) as response:
            assert json.load(response) == {"ok": True}
        config = aws.client("lambda").get_function_url_config(FunctionName="my-api-prod", Qualifier="live")
        assert config["AuthType"] == "AWS_IAM"
        with pytest.raises(aws.client("lambda").exceptions.ResourceNotFoundException):
            aws.client("lambda").get_policy(FunctionName="my-api-prod", Qualifier="live")


def test_the_documentation_can_be_turned_off(bake: Bake, tmp_path: Path) -> None:
    project = bake().copy(tmp_path)
    project.edit("deploy.toml", "[environment]", '[environment]\nDOCS = "false"')
    with EmbeddedAws() as aws:
        url = deployed_url(project, aws)
        for path in ("docs", "openapi.json", "redoc"):
            with pytest.raises(urllib.error.HTTPError, match="404"):
                urllib.request.urlopen(url + path, timeout=30)
