"""The Lambda function: its code and configuration as `$LATEST`, from which versions are published."""

from __future__ import annotations

from collections.abc import Callable

from botocore.exceptions import ClientError

from deploy.aws import absent_is_none
from deploy.problem import Problem
from deploy.resource import Resource, State

ALIAS = "live"  # what the public calls
CODE = {"ImageUri", "Architectures"}  # the rest of what a version holds is configuration
NOT_YET = (  # in what Lambda says when the same call will do a little later
    "The operation cannot be performed at this time",  # an earlier change is under way
    "cannot be assumed by Lambda",  # a fresh role, of which Lambda learns some seconds late
{% if cookiecutter.migrations == 'alembic' %}
    "does not have permissions to call CreateNetworkInterface",  # likewise
{% endif %}
)


class Function(Resource):
    """`image`: a URI with digest; `secrets_changed` differs when a secret was set anew; `latest`: what it became."""

    kind = "function"
    image = ""
    secrets_changed = ""
    latest: State | None = None

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
                "SubnetIds": sorted(vpc.subnet_ids) if vpc else [],
                "SecurityGroupIds": sorted(vpc.security_group_ids) if vpc else [],
            },
{% endif %}
        }

    def read(self) -> State | None:
        return self.read_version("$LATEST")

    def read_version(self, qualifier: str) -> State | None:
        """The function, or what a version or alias of it holds; None: there is no such thing."""
        with absent_is_none("ResourceNotFoundException"):
            return self._told(qualifier)
        return None

    def _told(self, qualifier: str) -> State:
        found = self.aws.lambda_.get_function(FunctionName=self.name, Qualifier=qualifier)
        now = found["Configuration"]
        failed = "Failed" in (now.get("State"), now.get("LastUpdateStatus"))
{% if cookiecutter.migrations == 'alembic' %}
        vpc = {"SubnetIds": [], "SecurityGroupIds": []} | now.get("VpcConfig", {})
{% endif %}
        return {
            **now,
            "ImageUri": found["Code"].get("ResolvedImageUri"),
{% if cookiecutter.migrations == 'alembic' %}
            "ImageConfig": now.get("ImageConfigResponse", {}).get("ImageConfig"),
            "VpcConfig": {"SubnetIds": sorted(vpc["SubnetIds"]), "SecurityGroupIds": sorted(vpc["SecurityGroupIds"])},
{% endif %}
            "ReservedConcurrentExecutions": found.get("Concurrency", {}).get("ReservedConcurrentExecutions"),
            "Failure": (now.get("LastUpdateStatusReason") or now.get("StateReason", "unknown")) if failed else None,
            "tags": found.get("Tags", {}),
        }

    def create(self) -> None:
        wanted = self.released() | {"PackageType": "Image", "Tags": self.service.tags}
        wanted["Code"] = {"ImageUri": wanted.pop("ImageUri")}
        self._in_time(lambda: self.aws.lambda_.create_function(FunctionName=self.name, **wanted))
        most = self.desired().get("ReservedConcurrentExecutions")
        self.update({} if most is None else {"ReservedConcurrentExecutions": most})

    def update(self, changed: State) -> None:
        name, lambda_, wanted = self.name, self.aws.lambda_, self.released()
        if "ReservedConcurrentExecutions" in changed:
            if (most := changed["ReservedConcurrentExecutions"]) is None:
                lambda_.delete_function_concurrency(FunctionName=name)
            else:
                self._in_time(
                    lambda: lambda_.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=most)
                )
        if changed.keys() & (wanted.keys() - CODE):
            configuration = {key: value for key, value in wanted.items() if key not in CODE}
            self._in_time(lambda: lambda_.update_function_configuration(FunctionName=name, **configuration))
        if changed.keys() & (CODE | {"Failure"}):
            code = {key: wanted[key] for key in CODE}
            self._in_time(lambda: lambda_.update_function_code(FunctionName=name, **code))
        self.latest = self.settled()
        if failure := self.latest["Failure"]:
            raise Problem(f"Lambda could not update {name}: {failure}", "Correct what it names and run it again.")

    def _in_time(self, call: Callable[[], object]) -> None:
        def called() -> bool:
            try:
                call()
            except ClientError as error:
                if any(said in str(error) for said in NOT_YET):
                    return False
                raise
            return True

        self.aws.wait(f"what {self.name} was waiting for", called)

    def settled(self) -> State:
        """What it is, once no creation or update is under way: until then Lambda may run what it was before."""
        now: State = {}

        def is_settled() -> bool:
            now.update(self._told("$LATEST"))
            return now["State"] != "Pending" and now.get("LastUpdateStatus") != "InProgress"

        self.aws.wait(f"preparing {self.name}", is_settled)
        return now

    def delete(self) -> None:
        """With all its versions, aliases and URLs."""
        self.aws.lambda_.delete_function(FunctionName=self.name)
