"""The Lambda function: its code and configuration as `$LATEST`, from which versions are published."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from deploy.aws import Aws, absent_is_none
from deploy.config import Service
from deploy.problem import Problem
from deploy.resource import Resource, State
from deploy.resources.role import Role

if TYPE_CHECKING:
    from mypy_boto3_lambda.type_defs import GetFunctionResponseTypeDef, LoggingConfigTypeDef

ALIAS = "live"  # what the public calls
{% if cookiecutter.migrations == 'alembic' %}
NO_VPC: dict[str, list[str]] = {"subnet_ids": [], "security_group_ids": []}
{% endif %}
CODE = {"image", "architecture"}
ROLE_PROPAGATION_S = 120  # Lambda learns of a fresh role some seconds late, and until then refuses it
{% if cookiecutter.migrations == 'alembic' %}
NEW_ROLE = ("cannot be assumed by Lambda", "does not have permissions to call CreateNetworkInterface")
{% else %}
NEW_ROLE = ("cannot be assumed by Lambda",)
{% endif %}


class Function(Resource):
    """`image` is a URI with digest; `secrets_changed` differs whenever a secret was set anew."""

    kind = "function"

    def __init__(self, service: Service, aws: Aws, image: str = "", secrets_changed: str = "") -> None:
        super().__init__(service, aws)
        self.image = image
        self.secrets_changed = secrets_changed

    def desired(self) -> State:
        return self.released() | {"reserved_concurrency": self.service.reserved_concurrency, "failure": None}

    def released(self) -> State:
        """The part of `desired` that a version holds, so that what is live can be compared with it."""
        return {
            "image": self.image,
            "architecture": self.service.architecture,
            "role": Role(self.service, self.aws).arn,
            "memory_mb": self.service.memory_mb,
            "timeout_s": self.service.timeout_s,
            "environment": self._environment(),
{% if cookiecutter.cold_starts == 'snapstart' %}
            "snapstart": self.service.snapstart,
{% endif %}
{% if cookiecutter.migrations == 'alembic' %}
            "vpc": self.service.vpc.model_dump() if self.service.vpc else NO_VPC,
{% endif %}
            "logging": {
                "LogFormat": "JSON",
                "ApplicationLogLevel": self.service.log_level,
                "SystemLogLevel": "INFO",  # brings platform.report, from which the memory used is read
                "LogGroup": self.service.log_group,
            },
        }

    def _environment(self) -> dict[str, str]:
        variables = self.service.environment | {"STAGE": self.service.stage}
        if self.service.secrets:
{% if cookiecutter.secrets == 'ssm' %}
            variables["SECRETS_PATH"] = self.service.secrets_path
{% else %}
            variables["SECRET_ID"] = self.service.secret_id
{% endif %}
            variables["SECRET_NAMES"] = ",".join(self.service.secrets)
            variables["SECRETS_CHANGED"] = self.secrets_changed
        return variables

    def read(self) -> State | None:
        return self.read_version("$LATEST")

    def read_version(self, qualifier: str) -> State | None:
        """The function, or what a version or alias of it holds; None: there is no such thing."""
        with absent_is_none("ResourceNotFoundException"):
            return _state(self.aws.lambda_.get_function(FunctionName=self.name, Qualifier=qualifier))
        return None

    def create(self) -> None:
        self._when_role_is_known(
            lambda: self.aws.lambda_.create_function(
                FunctionName=self.name,
                PackageType="Image",
                Code={"ImageUri": self.released()["image"]},
                Architectures=[self.service.architecture],
                Tags=self.service.tags,
                **self._configuration(),
            )
        )
        self.settle()
        if self.desired().get("reserved_concurrency") is not None:
            self._reserve()

    def update(self, changed: State) -> None:
        self.settle()  # an interrupted run may have left an update under way
        if "reserved_concurrency" in changed:
            self._reserve()
        if changed.keys() - CODE - {"reserved_concurrency", "failure"}:
            self._when_role_is_known(
                lambda: self.aws.lambda_.update_function_configuration(FunctionName=self.name, **self._configuration())
            )
            self.settle()
        if changed.keys() & (CODE | {"failure"}):
            self.aws.lambda_.update_function_code(
                FunctionName=self.name, ImageUri=self.released()["image"], Architectures=[self.service.architecture]
            )
            self.settle()
        if failure := (self.read() or {}).get("failure"):
            raise Problem(f"Lambda could not update {self.name}: {failure}", "Correct what it names and run it again.")

    def _when_role_is_known(self, call: Callable[[], object]) -> None:
        def called() -> bool:
            try:
                call()
            except ClientError as error:
                if any(told in str(error) for told in NEW_ROLE):
                    return False
                raise
            return True

        self.aws.wait("letting Lambda use the role", called, timeout_s=ROLE_PROPAGATION_S)

    def _reserve(self) -> None:
        if self.service.reserved_concurrency is None:
            self.aws.lambda_.delete_function_concurrency(FunctionName=self.name)
        else:
            self.aws.lambda_.put_function_concurrency(
                FunctionName=self.name, ReservedConcurrentExecutions=self.service.reserved_concurrency
            )

    def _configuration(self) -> dict[str, Any]:
        wanted = self.released()
        logging: LoggingConfigTypeDef = wanted["logging"]
        return {
            "Role": wanted["role"],
            "MemorySize": wanted["memory_mb"],
            "Timeout": wanted["timeout_s"],
            "Environment": {"Variables": wanted["environment"]},
            "LoggingConfig": logging,
{% if cookiecutter.cold_starts == 'snapstart' %}
            "SnapStart": {"ApplyOn": "PublishedVersions" if wanted["snapstart"] else "None"},
{% endif %}
{% if cookiecutter.migrations == 'alembic' %}
            "VpcConfig": {
                "SubnetIds": wanted["vpc"]["subnet_ids"],
                "SecurityGroupIds": wanted["vpc"]["security_group_ids"],
            },
            **({"ImageConfig": {"Command": wanted["command"]}} if "command" in wanted else {}),
{% endif %}
        }

    def settle(self) -> None:
        """Waits until no creation or update is under way: every further call would be a ResourceConflictException."""

        def settled() -> bool:
            now = self.aws.lambda_.get_function_configuration(FunctionName=self.name)
            return now["State"] != "Pending" and now.get("LastUpdateStatus") != "InProgress"

        self.aws.wait(f"preparing {self.name}", settled)

    def delete(self) -> None:
        """With all its versions, aliases and URLs."""
        self.aws.lambda_.delete_function(FunctionName=self.name)


def _state(found: GetFunctionResponseTypeDef) -> State:
    now = found["Configuration"]
    failed = now.get("State") == "Failed" or now.get("LastUpdateStatus") == "Failed"
    return {
        "image": found["Code"].get("ResolvedImageUri") or found["Code"].get("ImageUri"),
        "architecture": now["Architectures"][0],
        "role": now["Role"],
        "memory_mb": now["MemorySize"],
        "timeout_s": now["Timeout"],
        "environment": now.get("Environment", {}).get("Variables", {}),
        "logging": now.get("LoggingConfig"),
{% if cookiecutter.cold_starts == 'snapstart' %}
        "snapstart": now.get("SnapStart", {}).get("ApplyOn") == "PublishedVersions",
{% endif %}
{% if cookiecutter.migrations == 'alembic' %}
        "vpc": {
            "subnet_ids": now.get("VpcConfig", {}).get("SubnetIds", []),
            "security_group_ids": now.get("VpcConfig", {}).get("SecurityGroupIds", []),
        },
        "command": now.get("ImageConfigResponse", {}).get("ImageConfig", {}).get("Command"),
{% endif %}
        "reserved_concurrency": found.get("Concurrency", {}).get("ReservedConcurrentExecutions"),
        "failure": (now.get("LastUpdateStatusReason") or now.get("StateReason") or "unknown") if failed else None,
        "version": now["Version"],
        "description": now.get("Description", ""),
        "last_modified": now["LastModified"],
        "state": now.get("State", "Active"),
        "state_reason": now.get("StateReason", ""),
        "tags": found.get("Tags", {}),
    }
