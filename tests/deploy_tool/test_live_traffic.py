"""Clients do not notice a release: no request fails, and none gets the old response after the new one."""

from collections import defaultdict
from pathlib import Path

import pytest

from embedded_aws import EmbeddedAws
from scripts.projects import CHOICES
from tests.support.bake import Bake
from tests.support.deploy_tool import DeployTool
from tests.support.traffic import push_release, send_traffic

CLIENTS = 8


@pytest.mark.parametrize("endpoint", CHOICES["endpoint"])
def test_no_request_fails_and_the_response_changes_once(bake: Bake, tmp_path: Path, endpoint: str) -> None:
    project = bake(endpoint=endpoint).copy(tmp_path)
    with EmbeddedAws() as aws:
        deploy = DeployTool(project, aws)
        url = deploy("--image", push_release(project, aws, 1)).url
        with send_traffic(url, CLIENTS) as answers:
            second = deploy("--image", push_release(project, aws, 2))

    assert second.code == 0, second.err
    releases_of = defaultdict(set)
    for seen in answers:
        order = [answer.release for answer in seen]
        assert order == sorted(order)
        assert set(order) == {1, 2}
        for answer in seen:
            releases_of[answer.environment].add(answer.release)
    assert all(len(releases) == 1 for releases in releases_of.values())
    assert len(releases_of) > 2, "eight clients at once need more than one environment for each release"
    print(f"{sum(map(len, answers))} requests to {len(releases_of)} environments")
