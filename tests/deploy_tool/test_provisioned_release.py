"""With provisioned concurrency no request waits for a cold start, even during a release."""

import json
from pathlib import Path

from embedded_aws import EmbeddedAws
from embedded_aws.lambda_.execution_environment import PROVISIONED
from tests.support.bake import Bake
from tests.support.deploy_tool import DeployTool
from tests.support.traffic import push_release, send_traffic

CLIENTS = 2
EXECUTIONS = CLIENTS + 1  # the deploy itself calls the URL, too


def test_no_cold_request_during_a_release(bake: Bake, tmp_path: Path) -> None:
    project = bake(cold_starts="provisioned_concurrency").copy(tmp_path)
    config = project.path / "deploy.toml"
    config.write_text(config.read_text("utf-8").replace("\nexecutions = 2", f"\nexecutions = {EXECUTIONS}"), "utf-8")
    with EmbeddedAws() as aws:
        deploy = DeployTool(project, aws)
        url = deploy("--image", push_release(project, aws, 1)).url
        with send_traffic(url, CLIENTS) as answers:
            second = deploy("--image", push_release(project, aws, 2))
        messages = [json.loads(text) for text in aws.log_messages("/aws/lambda/my-api-prod") if text.startswith("{")]
        held = aws.client("lambda").list_provisioned_concurrency_configs(FunctionName="my-api-prod")
        kinds = [environment.kind for environment in aws.environments() if environment.deployed.version == "2"]
        old = [environment for environment in aws.environments() if environment.deployed.version == "1"]

    assert second.code == 0, second.err
    for seen in answers:
        assert {answer.release for answer in seen} == {1, 2}
    served = [message for message in messages if message.get("route") == "/"]
    assert len(served) >= sum(map(len, answers))
    assert [message for message in served if message["cold_start"]] == []
    slowest_s = max(answer.took_s for seen in answers for answer in seen)
    print(f"{len(served)} requests, none of them cold; the slowest took {slowest_s * 1000:.0f} ms")
    assert [config["FunctionArn"].rpartition(":")[2] for config in held["ProvisionedConcurrencyConfigs"]] == ["2"]
    assert kinds.count(PROVISIONED) == EXECUTIONS
    assert [environment for environment in old if environment.kind == PROVISIONED] == []
