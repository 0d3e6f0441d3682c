"""Does a secret stay where it belongs, and does a service that is not public refuse those it does not know?"""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from embedded_aws import EmbeddedAws
from scripts.deploy_tool import Run, run_deploy_sh
from scripts.project_changes import add_secret
from scripts.projects import CHOICES, Project
from tests.support.bake import Bake
from tests.support.deploy_tool import push_image

VALUE = "tr0ub4dor-and-3"
STORES = {"ssm": "ssm:PutParameter", "secrets_manager": "secretsmanager:PutSecretValue"}


@dataclass
class Service:
    """A project whose ./deploy.sh runs in a process of its own; `said` is all that it ever printed."""

    project: Project
    aws: EmbeddedAws
    said: str = ""

    def __call__(self, *arguments: str, typed: str = "") -> Run:
        run = run_deploy_sh(self.project, self.aws, *arguments, typed=typed)
        self.said += run.out + run.err
        return run


@pytest.fixture
def aws() -> Iterator[EmbeddedAws]:
    with EmbeddedAws() as aws:
        yield aws


@pytest.mark.parametrize("store", CHOICES["secrets"])
def test_a_secret_is_in_its_store_and_nowhere_else(bake: Bake, tmp_path: Path, aws: EmbeddedAws, store: str) -> None:
    service = Service(add_secret(bake(secrets=store).copy(tmp_path)), aws)
    image = push_image(service.project, aws)
    service("secret", "set", "API_KEY", typed=VALUE)
    first = service("--debug", "--image", image)
    assert first.code == 0, first.err
    service.project.edit("app/settings.py", "    api_key: SecretStr\n", "    api_key: int\n")  # which the value is not
    bad = service("--debug", "--image", push_image(service.project, aws))
    assert "api_key\n          Input should be a valid integer" in bad.err
    for arguments in (["plan", "--image", image], ["status"], ["logs"], ["secret", "list"], ["doctor"]):
        service(*arguments)
    with urllib.request.urlopen(first.url + "mark", timeout=30) as answer:
        assert answer.status == 200

    assert VALUE not in service.said
    carried = {call.action for call in aws.calls if VALUE in str(call.params)}
    assert carried == {STORES[store]}
    functions = aws.client("lambda").list_functions()
    assert VALUE not in json.dumps(functions, default=str)
    assert not [message for message in aws.log_messages("/aws/lambda/my-api-prod") if VALUE in message]
    files = [file for file in service.project.path.rglob("*") if file.is_file() and ".venv" not in file.parts]
    assert not [file for file in files if VALUE.encode() in file.read_bytes()]


def test_with_iam_only_signed_requests_are_answered(bake: Bake, tmp_path: Path, aws: EmbeddedAws) -> None:
    service = Service(bake().copy(tmp_path), aws)
    service.project.edit("deploy.toml", 'auth = "none"', 'auth = "iam"')
    url = service("--image", push_image(service.project, aws)).url
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(url, timeout=30)
    signed = AWSRequest("GET", url)
    credentials = boto3.Session(
        aws_access_key_id=aws.environ["AWS_ACCESS_KEY_ID"], aws_secret_access_key=aws.environ["AWS_SECRET_ACCESS_KEY"]
    ).get_credentials()
    assert credentials
    SigV4Auth(credentials, "lambda", "us-east-1").add_auth(signed)
    with urllib.request.urlopen(urllib.request.Request(url, headers=dict(signed.headers)), timeout=30) as answer:
        assert json.load(answer) == {"ok": True}
    policy = aws.client("lambda").get_function_url_config(FunctionName="my-api-prod", Qualifier="live")
    assert policy["AuthType"] == "AWS_IAM"
    with pytest.raises(aws.client("lambda").exceptions.ResourceNotFoundException):
        aws.client("lambda").get_policy(FunctionName="my-api-prod", Qualifier="live")


def test_the_documentation_can_be_turned_off(bake: Bake, tmp_path: Path, aws: EmbeddedAws) -> None:
    service = Service(bake().copy(tmp_path), aws)
    service.project.edit("deploy.toml", "[environment]", '[environment]\nDOCS = "false"')
    url = service("--image", push_image(service.project, aws)).url
    for path in ("docs", "openapi.json", "redoc"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(url + path, timeout=30)
