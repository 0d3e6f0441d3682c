"""Does the running service get its secrets from either store: in one call, only its own, and new values?"""

import hashlib
import json
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from embedded_aws import EmbeddedAws
from scripts.deploy_tool import run_deploy_sh
from scripts.project_changes import add_secret
from scripts.projects import CHOICES
from tests.support.bake import Bake
from tests.support.deploy_tool import DeployTool, push_image

READS = {"ssm": "ssm:GetParameters", "secrets_manager": "secretsmanager:GetSecretValue"}
every_store = pytest.mark.parametrize("store", CHOICES["secrets"])


def get(url: str) -> object:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.load(answer)


def mark(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


@every_store
def test_a_value_reaches_the_service_and_a_new_one_with_the_next_deploy(bake: Bake, tmp_path: Path, store: str) -> None:
    project = add_secret(bake(secrets=store).copy(tmp_path))
    said = []
    with EmbeddedAws() as aws:
        deploy, image = DeployTool(project, aws), push_image(project, aws)
        refused = deploy("--image", image)
        assert refused.code == 1
        assert "secret set API_KEY" in refused.err
        for value in ("öld value", 'new "value"'):
            said += [deploy("secret", "set", "API_KEY", typed=value + "\n")]
            before = len(aws.calls)
            said += [deployed := deploy("--image", image)]
            assert deployed.code == 0, deployed.err
            assert get(deployed.url + "mark") == mark(value)
            made = [call for call in aws.calls[before:] if call.caller.endswith(":role/my-api-prod")]
            assert [call.action for call in made] == [READS[store]]  # once, in the one environment that was started
            assert made[0].status == 200

        before = len(aws.calls)
        said += [again := deploy("--image", image)]
        assert again.code == 0
        assert [call.operation for call in aws.calls[before:] if call.mutating] == []
        assert len(aws.calls[before:]) <= 25
        said += [deploy("secret", "list"), deploy("logs")]
        gone = deploy("destroy", typed="my-api-prod\n")
        assert gone.out.endswith("\n0 left\n")
    shown = "".join(run.out + run.err for run in said)
    assert "API_KEY" in shown
    assert "öld" not in shown
    assert 'new "' not in shown


@every_store
def test_the_role_reads_the_secrets_of_its_own_stage_only(bake: Bake, tmp_path: Path, store: str) -> None:
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
        answer = json.load(aws.client("lambda").invoke(FunctionName="my-api-prod")["Payload"])
    assert "AccessDeniedException" in answer["errorMessage"]
    assert "my-api/dev" in answer["errorMessage"]


@every_store
def test_many_edits_at_once_lose_nothing(bake: Bake, store: str) -> None:
    project = bake(secrets=store)
    names = [f"KEY_{number}" for number in range(8)]
    with EmbeddedAws() as aws:
        with ThreadPoolExecutor(4) as pool:
            runs = list(
                pool.map(lambda name: run_deploy_sh(project, aws, "secret", "set", name, typed=f"of {name}"), names)
            )
        assert [run.err for run in runs if run.code] == []
        listed = run_deploy_sh(project, aws, "secret", "list").out
        assert [line.split()[0] for line in listed.splitlines()] == names
        if store == "secrets_manager":
            stored = aws.client("secretsmanager").get_secret_value(SecretId="my-api/prod")["SecretString"]
            assert json.loads(stored) == {name: f"of {name}" for name in names}


def test_a_secret_purged_can_be_set_anew_at_once(bake: Bake) -> None:
    project = bake(secrets="secrets_manager")
    with EmbeddedAws() as aws:
        deploy = DeployTool(project, aws)
        deploy("secret", "set", "API_KEY", typed="old")
        kept = deploy("destroy", typed="my-api-prod\n")
        assert "my-api/prod can be restored for 30 days with ./deploy.sh secret set (until " in kept.out
        purged = deploy("destroy", "--purge", typed="my-api-prod\n")
        assert purged.out.endswith("\n0 left\n"), purged.err
        again = deploy("secret", "set", "API_KEY", typed="new")
        assert again.code == 0, again.err
        stored = aws.client("secretsmanager").get_secret_value(SecretId="my-api/prod")["SecretString"]
        assert json.loads(stored) == {"API_KEY": "new"}
