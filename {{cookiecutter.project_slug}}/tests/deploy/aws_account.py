"""An AWS account on moto in which the tests run ./deploy.sh. A small function stands in for the service."""

from __future__ import annotations

import contextlib
import io
import json
import threading
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient

from deploy import cli
from deploy.smoke_test import http_event
from tests.deploy.lambda_emulation import LambdaEmulation
{% if cookiecutter.cold_starts == 'provisioned_concurrency' %}
from tests.deploy.provisioning import Provisioning
{% endif %}
from tests.deploy.queue_emulation import QueueEmulation

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
# moto imports the modules of a service at its first call. Threads that do so at the same time can raise _DeadlockError.
MOTO_LOCK = threading.RLock()
READS = ("Get", "List", "Describe", "BatchGet", "Filter", "Invoke")


def healthy(event: dict[str, Any]) -> dict[str, Any]:
    """The service: it answers every request."""
    return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": '{"ok":true}'}


{% if cookiecutter.migrations == 'alembic' %}
def nothing_to_migrate(event: dict[str, Any]) -> dict[str, Any]:
    """The migration function of a database that is up to date."""
    return {"from": "0001", "to": "0001", "output": ""}


{% endif %}
@dataclass
class AwsAccount:
    """The account. `run` runs ./deploy.sh, and `calls` are the operations that it called."""

    project: Path
    region: str
    name: str  # of the function and of most other resources
    calls: list[str] = field(default_factory=list)
    functions: LambdaEmulation = field(default_factory=lambda: LambdaEmulation(healthy))
    queues: QueueEmulation = field(default_factory=QueueEmulation)
{% if cookiecutter.cold_starts == 'provisioned_concurrency' %}
    provisioning: Provisioning = field(default_factory=Provisioning)
{% endif %}

    def client(self, service: Any) -> Any:
        return boto3.client(service, region_name=self.region)

    def run(self, *args: str, stdin: str = "") -> int:
        """Run ./deploy.sh and return its exit code."""
        self.calls.clear()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin.encode()), encoding="utf-8"))
            return cli.main(list(args))

    def resources(self) -> list[str]:
        """Return the names of all functions, roles, log groups and repositories."""
        return [
            *(function["FunctionName"] for function in self.client("lambda").list_functions()["Functions"]),
            *(role["RoleName"] for role in self.client("iam").list_roles()["Roles"]),
            *(group["logGroupName"] for group in self.client("logs").describe_log_groups()["logGroups"]),
            *(item["repositoryName"] for item in self.client("ecr").describe_repositories()["repositories"]),
        ]

    @property
    def mutations(self) -> list[str]:
        """The calls of the last run that changed something."""
        return [call for call in self.calls if not call.startswith(READS)]

    def configure(self, line: str) -> None:
        """Add a line to deploy.toml, and remove the one that sets the same key."""
        file = self.project / "deploy.toml"
        key = line.split("=")[0]
        others = [other for other in file.read_text(encoding="utf-8").splitlines() if not other.startswith(key)]
        file.write_text("\n".join([line, *others]), encoding="utf-8")

    def push_image(self, tag: str = "one") -> str:
        """Push an image that was built elsewhere, and return its URI."""
        ecr = self.client("ecr")
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"digest": tag, "size": 1},
            "layers": [{"digest": tag}],
        }
        with contextlib.suppress(ecr.exceptions.RepositoryAlreadyExistsException):
            ecr.create_repository(repositoryName="elsewhere")
        ecr.put_image(
            repositoryName="elsewhere",
            imageManifest=json.dumps(manifest),
            imageManifestMediaType=MANIFEST,
            imageTag=tag,
        )
        return f"123456789012.dkr.ecr.{self.region}.amazonaws.com/elsewhere:{tag}"

    def live_version(self) -> str:
        alias = self.client("lambda").get_alias(FunctionName=self.name, Name="live")
        return str(alias["FunctionVersion"])


def connect(account: AwsAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    """Record all calls, complete moto's responses, and lead requests to the public URL to the function."""
    call_moto = BaseClient._make_api_call  # type: ignore[attr-defined]

    def call(self: BaseClient, operation: str, params: dict[str, Any]) -> Any:
        account.calls.append(operation)

        def moto() -> Any:
            with MOTO_LOCK:
                return call_moto(self, operation, params)

{% if cookiecutter.cold_starts == 'provisioned_concurrency' %}
        if self.meta.service_model.service_name == "application-autoscaling" or "ProvisionedConcurrency" in operation:
            return account.provisioning.answer(operation, params, moto)
{% endif %}
        if self.meta.service_model.service_name == "sqs":
            return account.queues.call(operation, params, moto)
        if self.meta.service_model.service_name == "lambda":
            return account.functions.call(operation, params, moto)
        return moto()

    class PublicInternet:
        """Replaces botocore's HTTP session."""

        def __init__(self, **options: object) -> None: ...

        def send(self, request: Any) -> Any:
            response = account.functions.respond(http_event("/" + request.url.split("/", 3)[3], "abc123.example.com"))
            content = response["body"].encode()
            return SimpleNamespace(status_code=response["statusCode"], headers={}, content=content)

    monkeypatch.setattr(BaseClient, "_make_api_call", call)
    monkeypatch.setattr("deploy.public_url.URLLib3Session", PublicInternet)
