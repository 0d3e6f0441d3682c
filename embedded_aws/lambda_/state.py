"""The state of Lambda in one Region: functions, versions, aliases and the states that change with time."""

import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from embedded_aws.clock import Clock, Delays
from embedded_aws.ecr.images import Registry
from embedded_aws.errors import AwsError, conflict, invalid, not_found, revision_mismatch
from embedded_aws.iam.policy import NO_RESOURCE
from embedded_aws.iam.roles import Roles
from embedded_aws.lambda_.deployed_version import Config, DeployedVersion
from embedded_aws.lambda_.snapshot import Snapshot

IDLE_S = 14 * 86_400  # Lambda then reclaims a version's resources (crossplane-contrib/provider-aws#2084)
SNAPSHOT_WAIT_S = 0.05  # for `describe`, in real time, because callers with a ManualClock poll without a pause
LATEST = "$LATEST"
MAPPING_NOT_FOUND = "The resource you requested does not exist."
# https://docs.aws.amazon.com/lambda/latest/dg/services-xray.html
TRACING_ACTIONS = ("xray:PutTraceSegments", "xray:PutTelemetryRecords")


@dataclass
class Version:
    """$LATEST or a published version. Times are seconds on the emulator's clock.

    An update of $LATEST takes effect at `updated_at`; until then, invocations run `previous`. The revision then changes
    to `revision_after_update`.
    """

    deployed: DeployedVersion
    active_at: float
    revision: str
    last_modified: float
    updated_at: float = 0.0
    revision_after_update: str = ""
    previous: DeployedVersion | None = None
    snapshot: Snapshot | None = None
    regeneration_failed: bool = False  # AWS could not replace the snapshot after a change of the runtime
    override: Config = field(default_factory=dict)  # State and StateReasonCode in place of the computed ones
    used_at: float = 0.0
    awake_at: float = 0.0

    @property
    def number(self) -> str:
        """The version number, or $LATEST."""
        return self.deployed.version

    def current_deployment(self, now: float) -> DeployedVersion:
        """Return what an invocation runs: the previous configuration until an update has taken effect."""
        return self.previous if self.previous and now < self.updated_at else self.deployed

    def revision_id(self, now: float) -> str:
        """Return the revision ID. That of $LATEST changes again when the function is active or updated."""
        is_ready = now >= max(self.active_at, self.updated_at)
        return self.revision_after_update if is_ready and self.revision_after_update else self.revision

    def is_idle(self, now: float) -> bool:
        """Return True if nobody has used this version for 14 days."""
        return now - max(self.active_at, self.updated_at, self.used_at) >= IDLE_S

    def new_revision(self) -> None:
        """Change the revision ID."""
        self.revision = self.revision_after_update = new_id()


@dataclass
class Alias:
    """A name for a version. `weights` routes a share of the invocations to another version."""

    name: str
    version: str
    description: str
    weights: dict[str, float]
    revision: str


@dataclass
class Policy:
    """A resource policy."""

    statements: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class ProvisionedConcurrencyConfig:
    """The provisioned concurrency of one version. `failure` is a StatusReason, or empty."""

    requested: int
    modified_at: float
    ready_at: float
    failure: str = ""


@dataclass
class FunctionUrl:
    """The configuration of a function URL. `close` stops its HTTP server."""

    qualifier: str
    auth_type: str
    invoke_mode: str
    cors: dict[str, Any]
    created_at: float
    modified_at: float
    url: str
    close: Callable[[], None]


@dataclass
class Function:
    """A function with everything that belongs to it. Dictionaries are keyed by version, alias name or qualifier."""

    name: str
    latest: Version
    tags: dict[str, str]
    published: dict[str, Version] = field(default_factory=dict)
    last_number: int = 0  # of the last published version
    aliases: dict[str, Alias] = field(default_factory=dict)
    policies: dict[str, Policy] = field(default_factory=dict)
    urls: dict[str, FunctionUrl] = field(default_factory=dict)
    provisioned: dict[str, ProvisionedConcurrencyConfig] = field(default_factory=dict)
    reserved_concurrency: int | None = None


@dataclass(frozen=True)
class ConcurrencyLimit:
    """The maximum number of concurrent executions of some functions together."""

    maximum: int
    functions: set[str]
    is_reserved: bool


@dataclass(frozen=True)
class MappingSettings:
    """The settings of an event source mapping. `function` is the ARN of a function, a version or an alias."""

    function: str
    enabled: bool
    batch_size: int
    window_s: int
    max_concurrency: int | None
    response_types: tuple[str, ...]

    @property
    def reports_failures(self) -> bool:
        """True if the response of the function names the messages that have failed."""
        return "ReportBatchItemFailures" in self.response_types


@dataclass
class EventSourceMapping:
    """A connection of a queue to a function. `transition` is its state until `stable_at`.

    A change of the settings takes effect at `stable_at`.
    """

    uuid: str
    queue_arn: str
    settings: MappingSettings
    tags: dict[str, str]
    modified_at: float
    stable_at: float
    transition: str = "Creating"
    previous: MappingSettings | None = None
    wake: Callable[[], None] = lambda: None  # tell the poller that the settings have changed
    close: Callable[[], None] = lambda: None  # stop the poller

    def state(self, now: float) -> str:
        """Return the state, as AWS reports it."""
        if now < self.stable_at:
            return self.transition
        return "Enabled" if self.settings.enabled else "Disabled"

    def running(self, now: float) -> MappingSettings | None:
        """Return the settings that are in use, or None if the mapping receives no messages yet."""
        return self.previous if now < self.stable_at else self.settings


@dataclass
class LambdaState:
    """The functions of one Region and the limits of the account. Hold `lock` to read or change it."""

    account: str
    region: str
    clock: Clock
    delays: Delays
    registry: Registry
    roles: Roles
    functions: dict[str, Function] = field(default_factory=dict)
    last_numbers: dict[str, int] = field(default_factory=dict)  # of deleted functions; Lambda never reuses a number
    mappings: dict[str, EventSourceMapping] = field(default_factory=dict)  # by UUID
    account_concurrency: int = 1000
    account_memory_mb: int = 10_240  # the maximum of one function; many new accounts have 3,008
    account_timeout_s: int = 1_800  # botocore documents it since 1.44.7; it was 900 before
    blocks_public_access: bool = False  # an account can forbid policies that allow everybody
    lock: threading.RLock = field(default_factory=threading.RLock)

    def arn(self, name: str, qualifier: str = "") -> str:
        """Return the ARN of a function, or of one of its versions or aliases."""
        return f"arn:aws:lambda:{self.region}:{self.account}:function:{name}{':' + qualifier if qualifier else ''}"

    def locate(self, params: dict[str, Any]) -> tuple[str, str]:
        """Return the function name and the qualifier of a call.

        FunctionName is a name, a partial ARN or an ARN. The qualifier may be part of it or the Qualifier parameter.
        """
        name, qualifier = str(params["FunctionName"]), str(params.get("Qualifier") or "")
        if ":function:" in name:
            name = name.partition(":function:")[2]
        name, _, own_qualifier = name.partition(":")
        if own_qualifier and qualifier and own_qualifier != qualifier:
            raise invalid("The derived qualifier from the function name does not match the specified qualifier.")
        return name, qualifier or own_qualifier

    def function(self, params: dict[str, Any]) -> tuple[Function, str]:
        """Return the function and the qualifier of a call. Raise ResourceNotFoundException."""
        name, qualifier = self.locate(params)
        if name not in self.functions:
            raise not_found(f"Function not found: {self.arn(name, qualifier)}")
        return self.functions[name], qualifier

    def remove(self, function: Function) -> None:
        """Remove a function with its URLs."""
        with self.lock:
            if self.functions.get(function.name) is function:
                del self.functions[function.name]
                self.last_numbers[function.name] = function.last_number
        for url in function.urls.values():
            url.close()

    def version(self, function: Function, qualifier: str) -> Version:
        """Return the version of a number or an alias, $LATEST if it is empty. Raise ResourceNotFoundException."""
        alias = function.aliases.get(qualifier)
        number = alias.version if alias else qualifier
        if number in ("", LATEST):
            return function.latest
        if number not in function.published:
            raise not_found(f"Function not found: {self.arn(function.name, qualifier)}")
        return function.published[number]

    def unreserved_concurrency(self, without: Function | None = None) -> int:
        """Return the concurrency of the account minus the reservations of all functions except `without`."""
        others = (function for function in self.functions.values() if function is not without)
        return self.account_concurrency - sum(function.reserved_concurrency or 0 for function in others)

    def concurrency_limit(self, function: Function) -> ConcurrencyLimit:
        """Return the limit of a function: its own, or the one of all functions without reserved concurrency."""
        if function.reserved_concurrency is not None:
            return ConcurrencyLimit(function.reserved_concurrency, {function.name}, is_reserved=True)
        sharing = {other.name for other in self.functions.values() if other.reserved_concurrency is None}
        return ConcurrencyLimit(self.unreserved_concurrency(), sharing, is_reserved=False)

    @property
    def minimum_unreserved(self) -> int:
        """The concurrency that no function may reserve: all of it in a new account with 10 (anomalyco/sst#5829)."""
        return min(100, self.account_concurrency)

    def check_account_limits(self, config: Config) -> None:
        """Raise ValidationException if the account does not allow this much memory, or this timeout."""
        for key, maximum in (("MemorySize", self.account_memory_mb), ("Timeout", self.account_timeout_s)):
            if config[key] > maximum:
                reason = f"'{key}' value failed to satisfy constraint: Member must have value less than or equal to "
                raise AwsError("ValidationException", f"{reason}{maximum}")

    def check_qualifier(self, function: Function, qualifier: str) -> None:
        """Raise ResourceNotFoundException if the qualifier is neither a version nor an alias."""
        if qualifier and qualifier not in function.aliases:
            self.version(function, qualifier)

    def check_revision(self, expected: str | None, actual: str) -> None:
        """Raise PreconditionFailedException if a call states another revision ID."""
        if expected and expected != actual:
            raise revision_mismatch()

    def check_active(self, version: Version) -> None:
        """Raise ResourceConflictException while a version is in state Pending, or in a state set by a test."""
        state = "Pending" if self.clock.time() < version.active_at else version.override.get("State", "Active")
        if state != "Active":
            raise conflict(
                "The operation cannot be performed at this time. "
                f"The function is currently in the following state: {state}"
            )

    def check_updatable(self, function: Function) -> None:
        """Raise ResourceConflictException while the function is being created or updated."""
        self.check_active(function.latest)
        if self.clock.time() < function.latest.updated_at:
            raise conflict(
                "The operation cannot be performed at this time. "
                f"An update is in progress for resource: {self.arn(function.name)}"
            )

    def check_role(self, name: str, config: Config) -> None:
        """Raise InvalidParameterValueException if Lambda cannot use the execution role."""
        if "Environment" in config and not self.roles.is_known_to_kms(config["Role"]):  # KMS encrypts the variables
            account, role = config["Role"].split(":")[4], config["Role"].rpartition("/")[2]
            raise invalid(
                "Lambda was unable to configure access to your environment variables because the KMS key is invalid "
                "for CreateGrant. Please check your KMS key settings. KMS Exception: InvalidArnException "
                "KMS Message: ARN does not refer to a valid principal: "
                f"arn:aws:sts::{account}:assumed-role/{role}/{name}"
            )
        if not self.roles.can_assume(config["Role"]):
            raise invalid("The role defined for the function cannot be assumed by Lambda.")
        subnets = config.get("VpcConfig", {}).get("SubnetIds")
        if subnets and not self.roles.allow(config["Role"], "ec2:CreateNetworkInterface", NO_RESOURCE):
            raise invalid("The provided execution role does not have permissions to call CreateNetworkInterface on EC2")
        is_traced = config["TracingConfig"]["Mode"] == "Active"
        if is_traced and not all(self.roles.allow(config["Role"], action, NO_RESOURCE) for action in TRACING_ACTIONS):
            raise invalid("The provided execution role does not have permissions to call PutTraceSegments on XRAY")

    def describe(self, version: Version, *, qualified: bool = False, updates: bool = True) -> Config:
        """Return the FunctionConfiguration that AWS responds with, including the current State.

        With `qualified`, the ARN of $LATEST ends in ":$LATEST". Without `updates`, LastUpdateStatus is left out, as in
        the response of CreateFunction.
        """
        now, deployed = self.clock.time(), version.deployed
        out = {
            **deployed.config,
            "FunctionName": deployed.function,
            "FunctionArn": self.arn(deployed.function, version.number if qualified or version.number != LATEST else ""),
            "Version": version.number,
            "CodeSha256": deployed.image_digest.removeprefix("sha256:"),
            "CodeSize": 0,
            "LastModified": timestamp(version.last_modified),
            "RevisionId": version.revision_id(now),
            "PackageType": "Image",
        }
        image_config = out.pop("ImageConfig", None)
        if image_config:
            out["ImageConfigResponse"] = {"ImageConfig": image_config}
        if version.override:
            return out | version.override
        if not self.registry.exists(self.region, deployed.image_uri):
            return out | _state("Inactive", "ImageDeleted", "The function is trying to use a deleted image.")
        snapshot = version.snapshot
        if now < max(version.active_at, version.awake_at) or (snapshot and not snapshot.taken(SNAPSHOT_WAIT_S)):
            return out | _state("Pending", "Creating", "The function is being created.")
        if snapshot and snapshot.failure:
            reason = f"The function failed to initialize: {snapshot.failure.error_type}."
            return out | _state("Failed", "FunctionError", reason)
        if snapshot:
            out["SnapStart"] = {**out["SnapStart"], "OptimizationStatus": "On"}
        if version.is_idle(now):
            return out | _state("Inactive", "Idle", "The function is idle.")
        if now < version.updated_at:
            out |= {
                "LastUpdateStatus": "InProgress",
                "LastUpdateStatusReasonCode": "Creating",
                "LastUpdateStatusReason": "The function is being created.",
            }
        elif updates:
            out["LastUpdateStatus"] = "Successful"
        return out | {"State": "Active"}


def _state(state: str, reason_code: str, reason: str) -> Config:
    return {"State": state, "StateReasonCode": reason_code, "StateReason": reason}


def new_id() -> str:
    """Return a revision ID."""
    return str(uuid.uuid4())


def timestamp(seconds: float) -> str:
    """Return a time in Lambda's format, such as 2026-11-28T18:00:00.000+0000."""
    return (
        datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{int(seconds * 1000) % 1000:03d}+0000"
    )
