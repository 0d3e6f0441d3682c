"""The Lambda function: its code and configuration as `$LATEST`, from which versions are published."""

from __future__ import annotations

from collections.abc import Callable

from botocore.exceptions import ClientError

from deploy.aws import absent_is_none
from deploy.problem import Problem
from deploy.resource import Resource, State

ALIAS = "live"  # what the public calls
CODE = {"ImageUri", "Architectures"}  # the rest of what a version holds is configuration
ROLE_PROPAGATION_S = 120  # Lambda learns of a fresh role some seconds late, and until then refuses it
{% if cookiecutter.migrations == 'alembic' %}
NEW_ROLE = ("cannot be assumed by Lambda", "does not have permissions to call CreateNetworkInterface")
{% else %}
NEW_ROLE = "cannot be assumed by Lambda"
{% endif %}


class Function(Resource):
    """`image` is a URI with digest; `secrets_changed` differs whenever a secret was set anew."""

    kind = "function"
    image = ""
    secrets_changed = ""

    def desired(self) -> State:
        own = {"ReservedConcurrentExecutions": self.service.reserved_concurrency, "Failure": None}
        return self.released() | own

    def released(self) -> State:
        """The part of `desired` that a version holds, so that what is live can be compared with it."""
        variables = self.service.environment | {"STAGE": self.service.stage}
        if self.service.secrets:
{% if cookiecutter.secrets == 'ssm' %}
            variables["SECRETS_PATH"] = self.service.secrets_path
{% else %}
            variables["SECRET_ID"] = self.service.secret_id
{% endif %}
            variables["SECRET_NAMES"] = ",".join(self.service.secrets)
            variables["SECRETS_CHANGED"] = self.secrets_changed
{% if cookiecutter.migrations == 'alembic' %}
        vpc = self.service.vpc
{% endif %}
        return {
            "ImageUri": self.image,
            "Architectures": [self.service.architecture],
            "Role": self.aws.arn("iam", f"role/{self.service.full_name}", region=False),
            "MemorySize": self.service.memory_mb,
            "Timeout": self.service.timeout_s,
            "Environment": {"Variables": variables},
            "LoggingConfig": {
                "LogFormat": "JSON",
                "ApplicationLogLevel": self.service.log_level,
                "SystemLogLevel": "INFO",  # brings platform.report, from which the memory used is read
                "LogGroup": self.service.log_group,
            },
{% if cookiecutter.cold_starts == 'snapstart' %}
            "SnapStart": {"ApplyOn": "PublishedVersions" if self.service.snapstart else "None"},
{% endif %}
{% if cookiecutter.migrations == 'alembic' %}
            "VpcConfig": {
                "SubnetIds": vpc.subnet_ids if vpc else [],
                "SecurityGroupIds": vpc.security_group_ids if vpc else [],
            },
{% endif %}
        }

    def read(self) -> State | None:
        return self.read_version("$LATEST")

    def read_version(self, qualifier: str) -> State | None:
        """The function, or what a version or alias of it holds; None: there is no such thing."""
        with absent_is_none("ResourceNotFoundException"):
            found = self.aws.lambda_.get_function(FunctionName=self.name, Qualifier=qualifier)
            now = found["Configuration"]
            failed = "Failed" in (now.get("State"), now.get("LastUpdateStatus"))
            return {
                **now,
                "ImageUri": found["Code"].get("ResolvedImageUri"),
{% if cookiecutter.migrations == 'alembic' %}
                "ImageConfig": now.get("ImageConfigResponse", {}).get("ImageConfig"),
{% endif %}
                "ReservedConcurrentExecutions": found.get("Concurrency", {}).get("ReservedConcurrentExecutions"),
                "Failure": (now.get("LastUpdateStatusReason") or now.get("StateReason", "unknown")) if failed else None,
                "tags": found.get("Tags", {}),
            }
        return None

    def create(self) -> None:
        wanted = self.released() | {"PackageType": "Image", "Tags": self.service.tags}
        wanted["Code"] = {"ImageUri": wanted.pop("ImageUri")}
        self._when_role_is_known(lambda: self.aws.lambda_.create_function(FunctionName=self.name, **wanted))
        self.settle()
        if (most := self.desired().get("ReservedConcurrentExecutions")) is not None:
            self.update({"ReservedConcurrentExecutions": most})

    def update(self, changed: State) -> None:
        self.settle()  # an interrupted run may have left an update under way
        name, wanted = self.name, self.released()
        if "ReservedConcurrentExecutions" in changed:
            if (most := changed["ReservedConcurrentExecutions"]) is None:
                self.aws.lambda_.delete_function_concurrency(FunctionName=name)
            else:
                self.aws.lambda_.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=most)
        if changed.keys() & (wanted.keys() - CODE):
            configuration = {key: value for key, value in wanted.items() if key not in CODE}
            self._when_role_is_known(
                lambda: self.aws.lambda_.update_function_configuration(FunctionName=name, **configuration)
            )
            self.settle()
        if changed.keys() & (CODE | {"Failure"}):
            self.aws.lambda_.update_function_code(FunctionName=name, **{key: wanted[key] for key in CODE})
            self.settle()
        if failure := (self.read() or {}).get("Failure"):
            raise Problem(f"Lambda could not update {name}: {failure}", "Correct what it names and run it again.")

    def _when_role_is_known(self, call: Callable[[], object]) -> None:
        def called() -> bool:
            try:
                call()
            except ClientError as error:
{% if cookiecutter.migrations == 'alembic' %}
                if any(said in str(error) for said in NEW_ROLE):
{% else %}
                if NEW_ROLE in str(error):
{% endif %}
                    return False
                raise
            return True

        self.aws.wait("letting Lambda use the role", called, timeout_s=ROLE_PROPAGATION_S)

    def settle(self) -> None:
        """Waits until no creation or update is under way: every further call would be a ResourceConflictException."""

        def settled() -> bool:
            now = self.aws.lambda_.get_function_configuration(FunctionName=self.name)
            return now["State"] != "Pending" and now.get("LastUpdateStatus") != "InProgress"

        self.aws.wait(f"preparing {self.name}", settled)

    def delete(self) -> None:
        """With all its versions, aliases and URLs."""
        self.aws.lambda_.delete_function(FunctionName=self.name)
