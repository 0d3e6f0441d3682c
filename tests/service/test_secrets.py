"""Test that the deployed service reads its secrets from their store, and that they appear nowhere else."""

import hashlib
import json
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from embedded_aws import EmbeddedAws
from scripts.deploy_tool import Run, run_deploy_sh
from scripts.project_changes import add_secret, extend_aws_timeouts
from scripts.projects import CHOICES
from tests.support.bake import Bake
from tests.support.deploy_tool import DeployTool, push_image

VALUE = "tr0ub4dor-and-3"
WRITES = {"ssm": "ssm:PutParameter", "secrets_manager": "secretsmanager:PutSecretValue"}
READS = {"ssm": "ssm:GetParameters", "secrets_manager": "secretsmanager:GetSecretValue"}
every_store = pytest.mark.parametrize("store", CHOICES["secrets"])


def get(url: str) -> object:
    with urllib.request.urlopen(url, timeout=30) as response:
        return json.load(response)


def sha256(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


@every_store
def test_a_deploy_gives_the_service_the_current_value(bake: Bake, tmp_path: Path, store: str) -> None:
    project = extend_aws_timeouts(add_secret(bake(secrets=store).copy(tmp_path)))
    runs = []
    with EmbeddedAws() as aws:
        deploy, image = DeployTool(project, aws), push_image(project, aws)
        refused = deploy("--image", image)
        assert refused.code == 1
        assert "secret set API_KEY" in refused.err
        for value in ("öld value", 'new "value"'):
            runs += [deploy("secret", "set", "API_KEY", typed=value + "\n")]
            before = len(aws.calls)
            runs += [deployed := deploy("--image", image)]
            assert deployed.code == 0, deployed.err
            assert get(deployed.url + "mark") == sha256(value)
            calls = [call for call in aws.calls[before:] if call.caller.endswith(":role/my-api-prod")]
            assert [call.action for call in calls] == [READS[store]]  # once, because one environment was started
            assert calls[0].status == 200

        before = len(aws.calls)
        runs += [unchanged := deploy("--image", image)]
        assert unchanged.code == 0
        assert [call.operation for call in aws.calls[before:] if call.mutating] == []
        assert len(aws.calls[before:]) <= 25
        runs += [deploy("secret", "list"), deploy("logs")]
        destroyed = deploy("destroy", typed="my-api-prod\n")
        assert destroyed.out.endswith("\n0 left\n")
    output = "".join(run.out + run.err for run in runs)
    assert "API_KEY" in output
    assert "öld" not in output
    assert 'new "' not in output


@every_store
def test_a_value_is_only_in_its_store(bake: Bake, tmp_path: Path, store: str) -> None:
    project = add_secret(bake(secrets=store).copy(tmp_path))
    runs = []
    with EmbeddedAws() as aws:

        def deploy(*arguments: str, typed: str = "") -> Run:
            runs.append(run_deploy_sh(project, aws, *arguments, typed=typed))
            return runs[-1]

        image = push_image(project, aws)
        deploy("secret", "set", "API_KEY", typed=VALUE)
        first = deploy("--debug", "--image", image)
        assert first.code == 0, first.err
        project.edit("app/settings.py", "    api_key: SecretStr\n", "    api_key: int\n")  # the value is not an integer
        failed = deploy("--debug", "--image", push_image(project, aws))
        assert "api_key\n          Input should be a valid integer" in failed.err
        for arguments in (["plan", "--image", image], ["status"], ["logs"], ["secret", "list"], ["doctor"]):
            deploy(*arguments)
        assert get(first.url + "mark") == sha256(VALUE)

        assert VALUE not in "".join(run.out + run.err for run in runs)
        assert {call.action for call in aws.calls if VALUE in str(call.params)} == {WRITES[store]}
        assert VALUE not in json.dumps(aws.client("lambda").list_functions(), default=str)
        assert not [message for message in aws.log_messages("/aws/lambda/my-api-prod") if VALUE in message]
        files = [file for file in project.path.rglob("*") if file.is_file() and ".venv" not in file.parts]
        assert not [file for file in files if VALUE.encode() in file.read_bytes()]


@every_store
def test_the_role_can_read_only_the_secrets_of_its_stage(bake: Bake, tmp_path: Path, store: str) -> None:
    project = add_secret(bake(secrets=store).copy(tmp_path))
    with EmbeddedAws() as aws:
        deploy, image = DeployTool(project, aws), push_image(project, aws)
        for stage in ("prod", "dev"):
            deploy("--stage", stage, "secret", "set", "API_KEY", typed=stage)
        assert deploy("--image", image).code == 0
        variables = aws.client("lambda").get_function_configuration(FunctionName="my-api-prod")["Environment"][
            "Variables"
        ]
        aws.client("lambda").update_function_configuration(
            FunctionName="my-api-prod",
            Environment={"Variables": {name: value.replace("prod", "dev") for name, value in variables.items()}},
        )
        aws.clock.advance(10)
        result = json.load(aws.client("lambda").invoke(FunctionName="my-api-prod")["Payload"])
    assert "AccessDeniedException" in result["errorMessage"]
    assert "my-api/dev" in result["errorMessage"]


@every_store
def test_concurrent_changes_lose_no_secret(bake: Bake, store: str) -> None:
    project = bake(secrets=store)
    names = [f"KEY_{number}" for number in range(8)]
    with EmbeddedAws() as aws:
        with ThreadPoolExecutor(4) as pool:
            runs = list(
                pool.map(
                    lambda name: run_deploy_sh(project, aws, "secret", "set", name, typed=f"value of {name}"), names
                )
            )
        assert [run.err for run in runs if run.code] == []
        listed = run_deploy_sh(project, aws, "secret", "list").out
        assert [line.split()[0] for line in listed.splitlines()] == names
        if store == "secrets_manager":
            stored = aws.client("secretsmanager").get_secret_value(SecretId="my-api/prod")["SecretString"]
            assert json.loads(stored) == {name: f"value of {name}" for name in names}


def test_a_purged_secret_can_be_set_again_immediately(bake: Bake) -> None:
    project = bake(secrets="secrets_manager")
    with EmbeddedAws() as aws:
        deploy = DeployTool(project, aws)
        deploy("secret", "set", "API_KEY", typed="old")
        kept = deploy("destroy", typed="my-api-prod\n")
        assert "my-api/prod can be restored for 30 days with ./deploy.sh secret set (until " in kept.out
        purged = deploy("destroy", "--purge", typed="my-api-prod\n")
        assert purged.out.endswith("\n0 left\n"), purged.err
        run = deploy("secret", "set", "API_KEY", typed="new")
        assert run.code == 0, run.err
        stored = aws.client("secretsmanager").get_secret_value(SecretId="my-api/prod")["SecretString"]
        assert json.loads(stored) == {"API_KEY": "new"}
