"""Test that no output contains a secret: commands, their errors, logs, and what AWS stores about the service."""

import contextlib
import hashlib
import json
import os
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from embedded_aws import EmbeddedAws
from scripts.deploy_tool import Run
from scripts.project_changes import add_secret, append
from scripts.projects import CHOICES, Project
from tests.support.bake import Bake
from tests.support.database import DATABASE, USER, PasswordServer, password_server
from tests.support.deploy_tool import DeployTool, push_image
from tests.support.deployed_stage import NAME

SPECIAL = [*"%@/:?#[]\\\"' ", "é"]
BEFORE, AFTER = "bEfOrE7", "aFtEr8"  # the parts of each password around a special character
KEY_BEFORE, KEY_AFTER = "kEyBeFoRe", "kEyAfTeR"
PARTS = (BEFORE, AFTER, KEY_BEFORE, KEY_AFTER)
HEALTH = '    return {"status": "healthy"}'
ALL_SPECIAL = "".join(SPECIAL)
INVALID_FIELDS = """api_key: int
    choice: Literal["a"] = Field(validation_alias="api_key")
    short: str = Field(max_length=3, validation_alias="api_key")
"""
WRITES = {
    "ssm": {"ssm:PutParameter"},
    "secrets_manager": {"secretsmanager:PutSecretValue"},
}


@dataclass
class ObservedService:
    """A service, and everything that its deploy tool has printed."""

    aws: EmbeddedAws
    project: Project
    server: PasswordServer
    outputs: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._deploy = DeployTool(self.project, self.aws)

    @property
    def store(self) -> str:
        return self.project.answers.get("secrets", CHOICES["secrets"][0])

    def deploy(self, *arguments: str, typed: str | bytes = "") -> Run:
        run = self._deploy(*arguments, typed=typed)
        self.outputs += [run.out, run.err]
        return run

    def release(self, *options: str) -> Run:
        return self.deploy(*options, "--image", push_image(self.project, self.aws))

    def write_to_store(self, **secrets: str) -> None:
        """Write values with another program than the deploy tool, which refuses some of them."""
        if self.store == "ssm":
            for name, value in secrets.items():
                parameter = {"Name": f"/my-api/prod/{name}", "Value": value, "Type": "SecureString"}
                self.aws.client("ssm").put_parameter(**parameter, Overwrite=True)
            return
        client = self.aws.client("secretsmanager")
        values = json.loads(client.get_secret_value(SecretId="my-api/prod")["SecretString"]) | secrets
        client.put_secret_value(SecretId="my-api/prod", SecretString=json.dumps(values))

    def logs(self) -> str:
        return "\n".join(self.aws.log_messages(f"/aws/lambda/{NAME}") + self.migration_logs())

    def migration_logs(self) -> list[str]:
        try:
            return self.aws.log_messages(f"/aws/lambda/{NAME}-migrate")
        except self.aws.client("logs").exceptions.ResourceNotFoundException:
            return []

    def assert_no_secret_was_shown(self) -> None:
        texts = [*self.outputs, self.logs(), json.dumps(self.aws.client("lambda").list_functions(), default=str)]
        assert [text for text in texts if any(part in text for part in PARTS)] == []
        with_secret = {call.action for call in self.aws.calls if any(part in str(call.params) for part in PARTS)}
        assert with_secret == WRITES[self.store]


every_store = pytest.mark.parametrize("service", CHOICES["secrets"], indirect=True)
one_store = pytest.mark.parametrize("service", CHOICES["secrets"][:1], indirect=True)


@pytest.fixture
def service(bake: Bake, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[ObservedService]:
    """Deploy a service whose password and API key contain all special characters."""
    project = add_secret(bake(migrations="alembic", secrets=request.param).copy(tmp_path))
    password = f"{BEFORE}{ALL_SPECIAL}{AFTER}"
    with password_server(password) as server, EmbeddedAws() as aws:
        service = ObservedService(aws, project, server)
        key = f"{KEY_BEFORE}{ALL_SPECIAL}{KEY_AFTER}"
        assert service.deploy("secret", "set", "API_KEY", typed=f"{key}\n").code == 0
        assert service.deploy("--debug", "secret", "set", "DATABASE_URL", typed=server.url(password)).code == 0
        yield service


@every_store
def test_commands_of_a_service_that_works(service: ObservedService) -> None:
    service.project.edit("deploy.toml", 'smoke_path = "/health"', 'smoke_path = "/items"')
    assert service.release("--debug").code == 0
    service.deploy("secret", "set", "API_KEY", typed=f" {KEY_BEFORE}\t{KEY_AFTER} \n")
    assert service.release().code == 0
    for command in ("status", "logs", "doctor", "cost", "plan", "plan --json", "secret list", "migrate history"):
        run = service.deploy(*command.split())
        assert run.out, command
    assert service.deploy("rollback").code == 0
    service.deploy("secret", "remove", "API_KEY")
    service.assert_no_secret_was_shown()
    assert service.deploy("destroy", "--yes").code == 0
    service.assert_no_secret_was_shown()


@one_store
def test_releases_that_fail(service: ObservedService) -> None:
    assert service.release().code == 0
    wrong = service.server.url(f"{BEFORE} wrong {AFTER}")
    assert service.deploy("secret", "set", "DATABASE_URL", typed=wrong).code == 0
    assert "password authentication failed" in service.release("--debug").err
    correct = service.server.url(f"{BEFORE}{ALL_SPECIAL}{AFTER}")
    assert service.deploy("secret", "set", "DATABASE_URL", typed=correct).code == 0
    connect = (
        "    import psycopg\n    url = get_settings().database_url.get_secret_value()\n    psycopg.connect(url + 'x')\n"
    )
    failing = service.project.copy(service.project.path.parent / "failing")
    failing.edit("app/routers/health.py", HEALTH, connect + HEALTH)
    failing.edit("app/routers/health.py", "from fastapi", "from app.settings import get_settings\nfrom fastapi")
    refused = service.deploy("--debug", "--image", push_image(failing, service.aws))
    assert f'database "{DATABASE}x" does not exist' in refused.err

    for number, fields in enumerate(("api_key: list[str]", INVALID_FIELDS)):
        failing = service.project.copy(service.project.path.parent / f"invalid-{number}")
        failing.edit("app/settings.py", "api_key: SecretStr", fields)
        failing.edit("app/settings.py", "from functools", "from typing import Literal\nfrom functools")
        failing.edit("app/settings.py", "from pydantic import ", "from pydantic import Field\nfrom pydantic import ")
        append(failing, "app/main.py", "\nfrom app.settings import get_settings\n\nget_settings()\n")
        refused = service.deploy("--debug", "--image", push_image(failing, service.aws))
        assert (refused.code, "api_key" in refused.err) == (1, True), refused.err
    service.deploy("logs")
    service.deploy("logs", "--errors")
    service.assert_no_secret_was_shown()


@one_store
def test_every_character_and_every_error_of_the_driver(service: ObservedService) -> None:
    assert service.release().code == 0
    host = service.server.admin_url.partition("@")[2].partition("/")[0]
    for character in SPECIAL:
        password = f"{BEFORE}{character}{AFTER}"
        service.server.set_password(password)
        for place in (f"{host}/{DATABASE}", f"{host}/{DATABASE}\n", f"{host}/none", f"{host}x/db", "127.0.0.1:1/db"):
            url = f"postgresql://{USER}:{password}@{place}"
            assert service.deploy("secret", "set", "DATABASE_URL", typed=url).code in (0, 2)
            service.write_to_store(DATABASE_URL=url)
            service.deploy("--debug", "migrate", "current")
        service.write_to_store(DATABASE_URL=service.server.url(password))
        assert service.deploy("migrate", "current").code == 0
        service.write_to_store(DATABASE_URL=service.server.url(f"{password}x"))
        assert "password authentication failed" in service.deploy("migrate", "current").err
    service.assert_no_secret_was_shown()


@every_store
def test_errors_of_aws_while_a_secret_is_set(service: ObservedService) -> None:
    (write,) = WRITES[service.store]
    for fault in ("deny", "throttle"):
        for debug in ([], ["--debug"]):
            service.aws.fail(write, fault)
            service.deploy(*debug, "secret", "set", "API_KEY", typed=f"{KEY_BEFORE} {KEY_AFTER}")
    too_long = f"{KEY_BEFORE}{'x' * 100_000}{KEY_AFTER}"
    assert service.deploy("--debug", "secret", "set", "API_KEY", typed=too_long).code == 2
    not_text = KEY_BEFORE.encode() + b"\xff" + KEY_AFTER.encode()
    assert service.deploy("--debug", "secret", "set", "API_KEY", typed=not_text).code == 2
    service.deploy("--debug", "secret", "set", "API_KEY", typed=f"{KEY_BEFORE}{{{{other}}}}{KEY_AFTER}\0")
    texts = "".join(service.outputs)
    assert [part for part in PARTS if part in texts] == []


def test_snapshot_contains_no_secret(bake: Bake, tmp_path: Path) -> None:
    """The memory of the emulated snapshot is that of the process from which environments are copied."""
    project = add_secret(bake(cold_starts="snapstart").copy(tmp_path))
    value = f"{KEY_BEFORE}-{KEY_AFTER}"
    with EmbeddedAws() as aws:
        deploy = DeployTool(project, aws)
        assert deploy("secret", "set", "API_KEY", typed=value).code == 0
        deployed = deploy("--image", push_image(project, aws))
        assert deployed.code == 0, deployed.err
        with urllib.request.urlopen(f"{deployed.url}mark", timeout=30) as response:
            assert json.load(response) == hashlib.sha256(value.encode()).hexdigest()
        restored = [environment.pid for environment in aws.environments(NAME) if environment.pid]
        snapshots = {parent_of(pid) for pid in restored}
        assert snapshots.isdisjoint({os.getpid(), *restored})
        assert all(value.encode() in memory_of(pid) for pid in restored)
        assert not any(value.encode() in memory_of(pid) for pid in snapshots)


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[1])


def memory_of(pid: int) -> bytes:
    """Return the memory of a process that it can write to, which includes its environment variables."""
    parts = []
    with Path(f"/proc/{pid}/mem").open("rb") as memory:
        for line in Path(f"/proc/{pid}/maps").read_text("utf-8").splitlines():
            region, access = line.split()[:2]
            start, end = (int(address, 16) for address in region.split("-"))
            if access.startswith("rw"):
                memory.seek(start)
                with contextlib.suppress(OSError):  # a region that is reserved only
                    parts.append(memory.read(end - start))
    return b"".join(parts)
