"""The Lambda function. Its code and settings are changed in $LATEST, from which versions are published."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import ClientError

from deploy.errors import DeployError, suppress_errors
from deploy.iam import Statement, allow
from deploy.resource import Check, Component, Resource
from deploy.resources.vpc import sorted_vpc_config
from deploy.stage import Stage
from deploy.state import Reference, State

if TYPE_CHECKING:
    from deploy.release import Live

ALIAS = "live"  # public requests go to the version that it points to
CODE = {"ImageUri", "Architectures"}  # changed by UpdateFunctionCode; all other settings by UpdateFunctionConfiguration
UNVERSIONED = {"ReservedConcurrentExecutions", "Failure"}  # belong to the function, not to its versions
SETTLED_STATES = ("Active", "Inactive", "Failed")  # any other state, known or not, means "not ready yet"
RETRYABLE_MESSAGES = (
    "The operation cannot be performed at this time",  # an earlier update is still in progress
    "cannot be assumed by Lambda",  # Lambda learns of a new role some seconds late
    "ARN does not refer to a valid principal",  # and KMS, which encrypts the variables (aws/chalice#1069)
    "does not have permissions to call",  # and of its policy, for CreateNetworkInterface and PutTraceSegments
)
OLD_MAX_TIMEOUT_S = 900  # until 2026-11-19, see MAX_TIMEOUT_S in config.py
NEW_ACCOUNT_CONCURRENCY = 10  # the quota of new accounts; others have 1,000
UNRESERVABLE = 100  # executions that cannot be reserved (the Lambda guide: configuration-concurrency.html)


def version_settings(desired: State) -> State:
    """Return the part of a function's desired properties that its versions have."""
    return {key: value for key, value in desired.items() if key not in UNVERSIONED}


class Timeout(NamedTuple):
    """A timeout, and its key in deploy.toml."""

    key: str
    seconds: int


class Function(Resource):
    """The function with the settings, variables and permissions of the components that it uses."""

    kind = "function"
    has_tags = True

    def __init__(self, stage: Stage, uses: Sequence[Component]) -> None:
        super().__init__(stage)
        self.uses = uses

    @property
    def arn(self) -> str:
        """The ARN of the function."""
        return self.stage.arn("lambda", f"function:{self.name}")

    @property
    def timeout(self) -> Timeout:
        """The timeout of the function."""
        return Timeout("timeout_s", self.config.timeout_s)

    def desired(self) -> State | None:
        return self.settings()

    def settings(self) -> State:
        """Return the desired properties of the function."""
        variables = self.config.environment | {"STAGE": self.config.stage}
        settings: State = {}
        for component in self.uses:
            variables |= component.variables()
            settings |= component.function_settings()
        return {
            "ImageUri": Reference("image"),
            "Architectures": [self.config.architecture],
            "Role": self.stage.arn("iam", f"role/{self.stage.name}", region=False),
            "MemorySize": self.config.memory_mb,
            "Timeout": self.timeout.seconds,
            "EphemeralStorage": {"Size": self.config.ephemeral_storage_mb},
            "Environment": {"Variables": variables},
            "LoggingConfig": {
                "LogFormat": "JSON",
                "ApplicationLogLevel": self.config.log_level,
                "SystemLogLevel": "INFO",  # includes platform.report, which contains the memory used
                "LogGroup": self.config.log_group,
            },
            **settings,
            "ReservedConcurrentExecutions": self.config.reserved_concurrency,
            "Failure": None,  # a function whose last update failed is updated again
        }

    def read(self) -> State | None:
        """Return the properties of $LATEST. Raise DeployError while Lambda is deleting the function."""
        current = self.read_version("$LATEST")
        if current and current.get("State") == "Deleting":
            raise DeployError(
                f"Lambda is still deleting {self.name}.", "Wait a minute, then run the same command again."
            )
        return current

    def read_version(self, qualifier: str) -> State | None:
        """Return the properties of a version or an alias, or None if it does not exist."""
        with suppress_errors("ResourceNotFoundException"):
            return self._read(qualifier)
        return None

    def _read(self, qualifier: str) -> State:
        response = self.stage.client("lambda").get_function(FunctionName=self.name, Qualifier=qualifier)
        current = response["Configuration"]
        failed = "Failed" in (current.get("State"), current.get("LastUpdateStatus"))
        reason = current.get("LastUpdateStatusReason") or current.get("StateReason", "unknown")
        return {
            **current,
            "ImageUri": response["Code"].get("ResolvedImageUri"),
            "ImageConfig": current.get("ImageConfigResponse", {}).get("ImageConfig"),
            "VpcConfig": sorted_vpc_config(current.get("VpcConfig", {})),
            "ReservedConcurrentExecutions": response.get("Concurrency", {}).get("ReservedConcurrentExecutions"),
            "Failure": reason if failed else None,
            "tags": response.get("Tags", {}),
        }

    def create(self, desired: State) -> None:
        """Create the function and wait until it can be updated."""
        settings: Any = version_settings(desired) | {"PackageType": "Image", "Tags": self.stage.all_tags}
        settings["Code"] = {"ImageUri": settings.pop("ImageUri")}
        client = self.stage.client("lambda")
        self._retry(lambda: client.create_function(FunctionName=self.name, **settings))
        concurrency = desired.get("ReservedConcurrentExecutions")
        self.update({} if concurrency is None else {"ReservedConcurrentExecutions": concurrency})

    def update(self, changed: State) -> None:
        """Update the function and wait until it can be used. Raise DeployError if Lambda reports a failure."""
        client, name = self.stage.client("lambda"), self.name
        if "ReservedConcurrentExecutions" in changed:
            concurrency = changed["ReservedConcurrentExecutions"]
            if concurrency is None:
                client.delete_function_concurrency(FunctionName=name)
            else:
                self._retry(
                    lambda: client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=concurrency)
                )
        settings: Any = {key: value for key, value in changed.items() if key not in CODE | UNVERSIONED}
        if settings:
            self._retry(lambda: client.update_function_configuration(FunctionName=name, **settings))
        code: Any = {key: changed[key] for key in CODE if key in changed}
        if code or "Failure" in changed:
            self._retry(lambda: client.update_function_code(FunctionName=name, **self._complete_code(code)))
        if failure := self.wait_until_updated()["Failure"]:
            raise DeployError(f"Lambda could not update {name}: {failure}", "Fix the cause, then deploy again.")

    def _complete_code(self, code: State) -> Any:
        """Return both properties of the code: Lambda needs the image even if only the architecture changes."""
        if code.keys() == CODE:
            return code
        current = self._read("$LATEST")
        return {key: current[key] for key in CODE} | code

    def _retry(self, call: Callable[[], object]) -> None:
        def succeeded() -> bool:
            try:
                call()
            except ClientError as error:
                if any(message in str(error) for message in RETRYABLE_MESSAGES):
                    return False
                if self.timeout.seconds > OLD_MAX_TIMEOUT_S and "timeout" in str(error).lower():
                    raise DeployError(
                        f"Lambda did not accept {self.timeout.key} = {self.timeout.seconds}: {error}",
                        f"Not every account and Region allows more than {OLD_MAX_TIMEOUT_S}: lower it in deploy.toml.",
                    ) from None
                raise
            return True

        self.stage.wait_until(
            succeeded,
            f"Lambda did not accept a change of {self.name} (an update is in progress, or its role is not usable yet)",
        )

    def wait_until_updated(self) -> State:
        """Wait until no creation or update is in progress, and return the properties of $LATEST.

        Until then, Lambda may run the previous code.
        """
        current: State = {}

        def is_updated() -> bool:
            current.update(self._read("$LATEST"))
            return current["State"] in SETTLED_STATES and current.get("LastUpdateStatus") != "InProgress"

        self.stage.wait_until(is_updated, f"{self.name} was not ready")
        return current

    def is_version_ready(self, settings: State) -> bool:
        """Return True if a version that is Active can be invoked."""
        return all(component.is_version_ready(settings) for component in self.uses)

    def delete(self) -> None:
        """Delete the function with all its versions and aliases, and wait until it is gone."""
        self.stage.client("lambda").delete_function(FunctionName=self.name)
        self.stage.wait_until(lambda: self.read_version("$LATEST") is None, f"Lambda did not delete {self.name}")

    def add_tags(self, tags: Mapping[str, str]) -> None:
        self.stage.client("lambda").tag_resource(Resource=self.arn, Tags=tags)

    def remove_tags(self, keys: Sequence[str]) -> None:
        self.stage.client("lambda").untag_resource(Resource=self.arn, TagKeys=keys)

    def tag_permissions(self) -> list[Statement]:
        return [allow("lambda", "UntagResource", self.arn)]

    def deploy_permissions(self) -> list[Statement]:
        """Allow everything except deleting the function; old versions are deleted after each release."""
        actions = """
            CreateAlias CreateFunction DeleteFunctionConcurrency GetAlias GetFunction GetFunctionConfiguration
            InvokeFunction ListAliases ListTags ListVersionsByFunction PublishVersion PutFunctionConcurrency TagResource
            UpdateAlias UpdateFunctionCode UpdateFunctionConfiguration
        """
        return [
            allow("lambda", actions, self.arn, f"{self.arn}:*"),
            allow("lambda", "DeleteFunction", f"{self.arn}:*"),
            allow("cloudwatch", "GetMetricStatistics", "*"),  # plan and cost show the price of the requests
        ]

    def destroy_permissions(self) -> list[Statement]:
        """Include the deletion of the function itself."""
        return [allow("lambda", "DeleteFunction", self.arn)]

    def live_config(self, live: Live) -> dict[str, Any]:
        """Return memory, architecture and storage, which determine the price of a second."""
        return {
            "memory_mb": live.settings["MemorySize"],
            "architecture": live.settings["Architectures"][0],
            "ephemeral_storage_mb": live.settings["EphemeralStorage"]["Size"],
        }

    def checks(self) -> list[Check]:
        """Return the check of the account's quota for concurrent executions."""
        return [Check("concurrency", self._check_concurrency)]

    def _check_concurrency(self) -> str:
        limit = self.stage.client("lambda").get_account_settings()["AccountLimit"]
        total, unreserved = limit["ConcurrentExecutions"], limit["UnreservedConcurrentExecutions"]
        reserved = (self.read() or {}).get("ReservedConcurrentExecutions") or 0
        needed = self.config.concurrency_needed
        free = min(UNRESERVABLE, total)
        if needed and needed > unreserved + reserved - free:
            raise DeployError(
                f"deploy.toml needs {needed} concurrent executions. {unreserved + reserved} of this account's {total} are "
                f"not reserved, and {free} of them must stay unreserved.",
                "Lower the number in deploy.toml, or request more: Service Quotas, AWS Lambda, Concurrent executions.",
            )
        if total <= NEW_ACCOUNT_CONCURRENCY:
            raise DeployError(
                f"This account can run only {total} concurrent executions of all functions together.",
                "Request more: Service Quotas, AWS Lambda, Concurrent executions.",
            )
        return f"{total} concurrent executions in this account, {unreserved} of them not reserved"

    def status(self, live: Live) -> list[tuple[str, str]]:
        """Return the state, the image and the limits of the live version."""
        settings = live.settings
        state = f"{settings['State']} {settings.get('StateReason', '')}".strip()
        sizes = f"{settings['MemorySize']:,} MB memory · {settings['EphemeralStorage']['Size']:,} MB in /tmp"
        return [("state", state), ("image", settings["ImageUri"]), ("limits", f"{sizes} · {settings['Timeout']:,} s")]
