"""Test that a deployed service stays available while an answer is changed with docs/change-an-answer.md."""

import dataclasses
import itertools
import json
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from embedded_aws import EmbeddedAws, ManualClock
from embedded_aws.calls import Call
from scripts.database import postgres
from scripts.project_changes import add_secret
from scripts.projects import CHOICES
from tests.support.bake import Bake
from tests.support.change_guide import GUIDE, LinkedService, commit, create_template_repository, link_project


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return create_template_repository(tmp_path_factory.mktemp("template"))


@pytest.fixture
def service(bake: Bake, tmp_path: Path, template: Path) -> Iterator[LinkedService]:
    with EmbeddedAws(clock=ManualClock()) as aws:
        yield LinkedService(link_project(bake().copy(tmp_path / "project"), template), aws)


def test_the_architecture_can_be_changed(service: LinkedService) -> None:
    service.deploy()
    (section,) = (text for text in GUIDE.read_text("utf-8").split("\n## ") if text.startswith("Without further"))
    service.project = dataclasses.replace(service.project, answers={"architecture": "x86_64"})  # of the next image
    assert list(service.follow(section, "x86_64")) == []
    assert service.live_configuration()["Architectures"] == ["x86_64"]
    assert service.get() == {"ok": True}
    assert service.destroy() == []


def test_the_endpoint_can_be_changed(service: LinkedService) -> None:
    service.deploy()
    for endpoint in ("http_api", "function_url"):
        previous_url = service.url
        for comment in service.change("endpoint", endpoint):
            assert comment.startswith("# when no client calls")
            assert service.url != previous_url
            assert service.get() == service.get(url=previous_url) == {"ok": True}
        assert service.get() == {"ok": True}
        with pytest.raises(urllib.error.URLError, match="refused"):
            service.get(url=previous_url)
        policy = service.aws.client("lambda").get_policy(FunctionName="my-api-prod", Qualifier="live")["Policy"]
        statements = {statement["Sid"] for statement in json.loads(policy)["Statement"]}
        assert statements == ({"http-api"} if endpoint == "http_api" else {"public-url", "public-invoke"})
    assert service.destroy() == []


def test_the_store_of_secrets_can_be_changed(service: LinkedService) -> None:
    add_secret(service.project)
    commit(service.project.path)
    service.deploy_sh("secret", "set", "API_KEY", typed="value")
    service.deploy()
    fingerprint = service.get("mark")

    def check_before_the_release(call: Call, number: int, when: str) -> None:
        if (call.operation, when) == ("UpdateAlias", "before") and call.params["FunctionVersion"] == new:
            assert service.get("mark", cold=True) == fingerprint

    for number, store in enumerate(("secrets_manager", "ssm"), 1):
        old, new = str(number), str(number + 1)
        remove_hook = service.aws.hook(check_before_the_release)
        for comment in service.change("secrets", store):
            if comment.startswith("# when you no longer need to roll back"):
                remove_hook()
                for version in (old, new):
                    service.set_live_version(version)
                    assert service.get("mark", cold=True) == fingerprint
        assert service.get("mark", cold=True) == fingerprint
        assert service.aws.client("iam").list_role_policies(RoleName="my-api-prod")["PolicyNames"] == ["service"]
        parameters = service.aws.client("ssm").describe_parameters()["Parameters"]
        secrets = service.aws.client("secretsmanager").list_secrets()["SecretList"]
        assert (len(parameters), len(secrets)) == ((0, 1) if store == "secrets_manager" else (1, 0))
    assert service.destroy() == []


def test_migrations_can_be_added_and_removed(service: LinkedService) -> None:
    service.deploy()
    with postgres() as service.database:
        assert list(service.change("migrations", "alembic")) == []
        assert service.get("items") == {"items": [], "next": None}
        for comment in service.change("migrations", "none"):
            assert comment.startswith("# when you no longer need to roll back")
            assert service.get() == {"ok": True}
            service.set_live_version("2")
            assert service.get("items", cold=True) == {"items": [], "next": None}
            service.set_live_version("3")
        with psycopg.connect(service.database) as connection:
            assert connection.execute("SELECT count(*) FROM items").fetchone() == (0,)
    assert service.deploy_sh("secret", "list").out == "No secrets in stage prod.\n"
    assert service.destroy() == []


def test_cold_starts_can_be_changed(service: LinkedService) -> None:
    service.deploy()
    accept, snapstart, provisioned = CHOICES["cold_starts"]
    changes = [snapstart, provisioned, accept, provisioned, snapstart, accept]
    assert set(itertools.pairwise([accept, *changes])) == set(itertools.permutations(CHOICES["cold_starts"], 2))
    for choice in changes:
        assert list(service.change("cold_starts", choice)) == []
        assert service.get() == {"ok": True}
        live = service.live_configuration()
        assert live["SnapStart"]["ApplyOn"] == ("PublishedVersions" if choice == snapstart else "None")
        response = service.aws.client("lambda").list_provisioned_concurrency_configs(FunctionName="my-api-prod")
        versions = [config["FunctionArn"].rpartition(":")[2] for config in response["ProvisionedConcurrencyConfigs"]]
        assert versions == ([live["Version"]] if choice == provisioned else [])
    assert service.destroy() == []
