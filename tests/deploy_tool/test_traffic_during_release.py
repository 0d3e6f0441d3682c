"""Test that clients do not notice a release: no request fails, and none waits for a cold start that can be avoided."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from embedded_aws import EmbeddedAws
from embedded_aws.lambda_.execution_environment import PROVISIONED
from scripts.projects import CHOICES
from tests.support.bake import Bake
from tests.support.deploy_tool import DeployTool
from tests.support.deployed_stage import NAME
from tests.support.traffic import push_release, send_traffic


@pytest.mark.parametrize("endpoint", CHOICES["endpoint"])
def test_no_request_fails_and_the_response_changes_once(bake: Bake, tmp_path: Path, endpoint: str) -> None:
    project = bake(endpoint=endpoint).copy(tmp_path)
    with EmbeddedAws() as aws:
        deploy = DeployTool(project, aws)
        url = deploy("--image", push_release(project, aws, 1)).url
        with send_traffic(url, clients=8) as responses:
            second = deploy("--image", push_release(project, aws, 2))

    assert second.code == 0, second.err
    releases_by_environment = defaultdict(set)
    for received in responses:
        releases = [response.release for response in received]
        assert releases == sorted(releases)
        assert set(releases) == {1, 2}
        for response in received:
            releases_by_environment[response.environment].add(response.release)
    assert all(len(releases) == 1 for releases in releases_by_environment.values())
    assert len(releases_by_environment) > 2, "concurrent clients need more than one environment for each release"
    print(f"{sum(map(len, responses))} requests to {len(releases_by_environment)} environments")


def test_with_provisioned_concurrency_no_request_waits_for_a_cold_start(bake: Bake, tmp_path: Path) -> None:
    clients = 2
    executions = clients + 1  # the deploy tool sends requests, too
    project = bake(cold_starts="provisioned_concurrency").copy(tmp_path)
    project.edit("deploy.toml", "\nexecutions = 2", f"\nexecutions = {executions}")
    with EmbeddedAws() as aws:
        deploy = DeployTool(project, aws)
        url = deploy("--image", push_release(project, aws, 1)).url
        with send_traffic(url, clients) as responses:
            second = deploy("--image", push_release(project, aws, 2))
        records = access_log(aws)
        configs = aws.client("lambda").list_provisioned_concurrency_configs(FunctionName=NAME)
        provisioned = {version: count_provisioned_environments(aws, version) for version in ("1", "2")}

    assert second.code == 0, second.err
    for received in responses:
        assert {response.release for response in received} == {1, 2}
    assert len(records) >= sum(map(len, responses))
    assert [record for record in records if record["cold_start"]] == []
    versions = [config["FunctionArn"].rpartition(":")[2] for config in configs["ProvisionedConcurrencyConfigs"]]
    assert versions == ["2"]
    assert provisioned == {"1": 0, "2": executions}
    slowest_s = max(response.duration_s for received in responses for response in received)
    print(f"{len(records)} requests without a cold start; the slowest took {slowest_s * 1000:.0f} ms")


def access_log(aws: EmbeddedAws) -> list[dict[str, Any]]:
    """Return the log records of all requests for /."""
    messages = aws.log_messages(f"/aws/lambda/{NAME}")
    records = [json.loads(message) for message in messages if message.startswith("{")]
    return [record for record in records if record.get("route") == "/"]


def count_provisioned_environments(aws: EmbeddedAws, version: str) -> int:
    environments = [environment for environment in aws.environments() if environment.deployed.version == version]
    return [environment.kind for environment in environments].count(PROVISIONED)
