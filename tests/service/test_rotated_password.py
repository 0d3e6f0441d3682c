"""Test that a warm service uses the new password of its database as soon as the old one is rejected."""

import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from embedded_aws import EmbeddedAws
from scripts.project_changes import extend_aws_timeouts
from tests.support.bake import Bake
from tests.support.database import PasswordServer, password_server
from tests.support.deploy_tool import DeployedService, DeployTool, push_image
from tests.support.deployed_stage import NAME

READS = {"ssm": "ssm:GetParameters", "secrets_manager": "secretsmanager:GetSecretValue"}
OLD, NEW = "0ld-s3cr3t", "n3w-s3cr3t"
WITHOUT_WARM_UP = [("ssm", "accept"), ("secrets_manager", "accept")]
WITH_WARM_UP = [("ssm", "provisioned_concurrency"), ("secrets_manager", "snapstart")]


@dataclass
class ServiceWithPassword(DeployedService):
    """A service that is live, and its database server. The password is OLD in both the server and the store."""

    server: PasswordServer

    def store(self, password: str) -> None:
        run = self.deploy("secret", "set", "DATABASE_URL", typed=self.server.url(password))
        assert run.code == 0, run.err

    def list_items(self) -> int:
        """Return the status of a request that needs the database."""
        try:
            with urllib.request.urlopen(f"{self.url}items", timeout=30) as response:
                return int(response.status)
        except urllib.error.HTTPError as error:
            return error.code

    def reads(self) -> int:
        """Return how often the service and the migration function have read the secrets."""
        read = READS[self.project.answers.get("secrets", "ssm")]
        return [call.action for call in self.aws.calls if call.caller.endswith(f":role/{NAME}")].count(read)

    def processes(self) -> set[int | None]:
        return {environment.pid for environment in self.aws.environments(NAME)}


@pytest.fixture
def service(bake: Bake, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ServiceWithPassword]:
    store, cold_starts = request.param
    project = bake(migrations="alembic", secrets=store, cold_starts=cold_starts).copy(tmp_path)
    extend_aws_timeouts(project)
    project.edit("aws_lambda/secrets.py", "RELOAD_INTERVAL_S = 10\n", "RELOAD_INTERVAL_S = 600\n")  # longer than a test
    with password_server(OLD) as server, EmbeddedAws() as aws:
        deploy = DeployTool(project, aws)
        assert deploy("secret", "set", "DATABASE_URL", typed=server.url(OLD)).code == 0
        deployed = deploy("--image", push_image(project, aws))
        assert deployed.code == 0, deployed.err
        service = ServiceWithPassword(aws, project, deploy, deployed.url, server)
        assert service.list_items() == 200
        yield service


@pytest.mark.parametrize("service", WITHOUT_WARM_UP + WITH_WARM_UP, ids="-".join, indirect=True)
def test_warm_service_uses_the_new_password(service: ServiceWithPassword) -> None:
    processes, reads = service.processes(), service.reads()
    service.server.set_password(NEW)
    service.store(NEW)
    for _ in range(6):
        assert service.list_items() == 200
        service.server.set_password(NEW)  # ends the connection again
    assert 1 <= service.reads() - reads <= len(processes)
    assert service.processes() == processes
    assert service.deploy("migrate", "current").out == "0001 (head)\n"


@pytest.mark.parametrize("service", WITHOUT_WARM_UP, ids="-".join, indirect=True)
def test_wrong_password_does_not_cause_a_call_with_every_request(service: ServiceWithPassword) -> None:
    reads = service.reads()
    service.server.set_password(NEW)
    assert [service.list_items() for _ in range(10)] == [500] * 10
    assert 1 <= service.reads() - reads <= len(service.processes())
    log = "\n".join(service.aws.log_messages(f"/aws/lambda/{NAME}"))
    assert log.count("password authentication failed") >= 10
    assert OLD not in log
