"""An account on moto for the deploy tool, with what moto leaves out of Lambda, and the real service behind it."""

import contextlib
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import botocore.session
import pytest
from botocore.client import BaseClient
from moto.awslambda.models import LambdaBackend, LambdaFunction
{% if cookiecutter.endpoint == 'function_url' %}
from moto.awslambda.policy import Policy
{% endif %}

import deploy.command_line as command_line
from aws_lambda.handler import handler
from deploy.check import http_event
{% if cookiecutter.cold_starts == 'provisioned_concurrency' %}
from tests.deploy.provisioning import Provisioning
{% endif %}

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
{% if cookiecutter.endpoint == 'function_url' %}
CONDITIONS = {"FunctionUrlAuthType": "StringEquals", "InvokedViaFunctionUrl": "Bool"}
{% endif %}
READS = ("Get", "List", "Describe", "BatchGet", "Filter", "Invoke")
Answer = Callable[[dict[str, Any]], dict[str, Any]]


def service_answers(event: dict[str, Any]) -> dict[str, Any]:
    """What the real service answers."""
    context = SimpleNamespace(aws_request_id="test", function_name="test", memory_limit_in_mb="512")
    answer: dict[str, Any] = handler(event, context)
    return answer


{% if cookiecutter.migrations == 'alembic' %}
def nothing_to_migrate(event: dict[str, Any]) -> dict[str, Any]:
    return {"from": "0001", "to": "0001", "output": ""}


{% endif %}
@dataclass
class Cloud:
    """The account: `run` is ./deploy.sh; `calls` are the operations it made; `answer` is what the function does."""

    project: Path
    region: str
    name: str  # of the function and of most else
    calls: list[str] = field(default_factory=list)
    answer: Answer = service_answers
{% if cookiecutter.cold_starts == 'provisioned_concurrency' %}
    provisioning: Provisioning = field(default_factory=Provisioning)
{% endif %}
{% if cookiecutter.migrations == 'alembic' %}
    migrate: Answer = nothing_to_migrate
{% endif %}

    def client(self, service: Any) -> Any:
        return botocore.session.get_session().create_client(service, region_name=self.region)

    def run(self, *arguments: str, typed: str = "") -> int:
        """The exit code; `typed` is what comes on standard input."""
        self.calls.clear()
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(typed.encode()), encoding="utf-8"))
            return command_line.main(list(arguments))

    @property
    def mutations(self) -> list[str]:
        return [call for call in self.calls if not call.startswith(READS)]

    def configure(self, text: str) -> None:
        """Puts a line on top of deploy.toml, in place of the one that sets the same key."""
        file = self.project / "deploy.toml"
        key = text.split("=")[0]
        kept = [line for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith(key)]
        file.write_text("\n".join([text, *kept]), encoding="utf-8")

    def push_image(self, tag: str = "one") -> str:
        """An image built elsewhere; its URI."""
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


def record_calls(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    call = BaseClient._make_api_call  # type: ignore[attr-defined]

    def recorded(self: BaseClient, operation: str, parameters: Any) -> Any:
        cloud.calls.append(operation)
{% if cookiecutter.cold_starts == 'provisioned_concurrency' %}
        return cloud.provisioning.answer(operation, parameters, lambda: call(self, operation, parameters))
{% else %}
        return call(self, operation, parameters)
{% endif %}

    monkeypatch.setattr(BaseClient, "_make_api_call", recorded)


def complete_moto(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
{% if cookiecutter.endpoint == 'function_url' %}
    """moto 5.2 drops LoggingConfig and RevisionId, garbles image URIs and conditions, and cannot invoke an image."""
{% else %}
    """moto 5.2 drops LoggingConfig and RevisionId, garbles image URIs, and cannot invoke an image."""
{% endif %}
    configuration, update = LambdaFunction.get_configuration, LambdaFunction.update_configuration
{% if cookiecutter.endpoint == 'function_url' %}
    update_code, add_statement = LambdaFunction.update_function_code, Policy.add_statement
{% else %}
    update_code = LambdaFunction.update_function_code
{% endif %}
    make, code = LambdaFunction.__init__, LambdaFunction.get_code

    def made(self: Any, account_id: str, spec: dict[str, Any], *rest: Any, **options: Any) -> None:
        make(self, account_id, spec, *rest, **options)
        self.logging = spec.get("LoggingConfig")
{% if cookiecutter.cold_starts == 'snapstart' %}
        self.snapstart = spec.get("SnapStart", {"ApplyOn": "None"})
{% endif %}

    def updated(self: Any, changes: dict[str, Any]) -> Any:
        self.logging = changes.get("LoggingConfig", self.logging)
{% if cookiecutter.cold_starts == 'snapstart' %}
        self.snapstart = changes.get("SnapStart", self.snapstart)
{% endif %}
        return update(self, changes)

    def updated_code(self: Any, changes: dict[str, Any]) -> Any:
        self.code = dict(self.code)  # which moto shares with the versions published from it
        return update_code(self, changes)

{% if cookiecutter.endpoint == 'function_url' %}
    def statement(self: Any, raw: str, qualifier: str | None = None) -> Any:
        added, revision = add_statement(self, raw, qualifier)
        for parameter, condition in CONDITIONS.items():
            if parameter in added:
                value = added.pop(parameter)
                added["Condition"] = {
                    condition: {f"lambda:{parameter}": str(value).lower() if value is True else value}
                }
        return added, revision

{% endif %}
    def complete(self: Any, on_create: bool = False) -> Any:
{% if cookiecutter.cold_starts == 'snapstart' %}
        snapstart = self.snapstart | {"OptimizationStatus": "On" if self.version != "$LATEST" else "Off"}
        completed = {"LoggingConfig": self.logging, "RevisionId": f"{self.last_modified}", "SnapStart": snapstart}
        return configuration(self, on_create) | completed
{% else %}
        return configuration(self, on_create) | {"LoggingConfig": self.logging, "RevisionId": f"{self.last_modified}"}
{% endif %}

    def resolved(self: Any) -> Any:
        answer = code(self)
        answer["Code"]["ResolvedImageUri"] = answer["Code"]["ImageUri"]
        return answer

    def invoke(self: Any, name: str, qualifier: str, body: Any, headers: Any, response_headers: Any) -> bytes:
        try:
{% if cookiecutter.migrations == 'alembic' %}
            if name.endswith("-migrate"):
                return json.dumps(cloud.migrate(json.loads(body))).encode()
{% endif %}
            return json.dumps(cloud.answer(json.loads(body))).encode()
        except Exception as error:
            response_headers["x-amz-function-error"] = "Unhandled"
            return json.dumps({"errorMessage": str(error), "errorType": type(error).__name__}).encode()

    class PublicInternet:
        """In place of botocore's HTTP session: the public URL reaches the function."""

        def __init__(self, timeout: float) -> None: ...

        def send(self, request: Any) -> Any:
            answer = cloud.answer(http_event("/" + request.url.split("/", 3)[3]))
            return SimpleNamespace(status_code=answer["statusCode"], content=answer["body"].encode())

    monkeypatch.setattr(LambdaFunction, "__init__", made)
    monkeypatch.setattr(LambdaFunction, "update_configuration", updated)
    monkeypatch.setattr(LambdaFunction, "update_function_code", updated_code)
{% if cookiecutter.endpoint == 'function_url' %}
    monkeypatch.setattr(Policy, "add_statement", statement)
{% endif %}
    monkeypatch.setattr(LambdaFunction, "get_configuration", complete)
    monkeypatch.setattr(LambdaFunction, "get_code", resolved)
    monkeypatch.setattr(LambdaBackend, "invoke", invoke)
    monkeypatch.setattr("deploy.check.URLLib3Session", PublicInternet)
