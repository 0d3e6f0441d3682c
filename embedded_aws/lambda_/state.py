"""What does Lambda know in one Region? Functions, their versions and aliases, and the states that time changes."""

import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from embedded_aws.clock import Clock, Delays
from embedded_aws.ecr.images import Registry
from embedded_aws.errors import AwsError, conflict, invalid, not_found, revision_mismatch
from embedded_aws.lambda_.snapshot import Snapshot

IDLE_S = (
    14 * 86_400
)  # after so long, Lambda reclaims what a version needs to run (crossplane-contrib/provider-aws#2084)
WATCH_S = 0.05  # on this machine's clock: how long one look at a version waits for its snapshot
LATEST = "$LATEST"
Config = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Deployed:
    """One immutable configuration and image. Execution environments belong to exactly one of these."""

    function: str
    version: str
    config: Config
    image_uri: str
    image_digest: str


@dataclass
class Version:
    """$LATEST or a published version."""

    deployed: Deployed
    active_at: float
    revision: str
    last_modified: float
    settled_at: float = 0.0
    settled_revision: str = ""
    previous: Deployed | None = None
    snapshot: Snapshot | None = None
    used_at: float = 0.0
    awake_at: float = 0.0

    @property
    def number(self) -> str:
        return self.deployed.version

    def running(self, now: float) -> Deployed:
        """What an invocation runs: the old configuration until an update has settled."""
        return self.previous if self.previous and now < self.settled_at else self.deployed

    def revision_id(self, now: float) -> str:
        """On $LATEST the id changes once more when the function becomes active or an update settles."""
        settled = now >= max(self.active_at, self.settled_at)
        return self.settled_revision if settled and self.settled_revision else self.revision

    def is_idle(self, now: float) -> bool:
        return now - max(self.active_at, self.settled_at, self.used_at) >= IDLE_S

    def new_revision(self) -> None:
        self.revision = self.settled_revision = new_id()


@dataclass
class Alias:
    name: str
    version: str
    description: str
    weights: dict[str, float]
    revision: str


@dataclass
class Policy:
    statements: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Provisioned:
    """The provisioned concurrency of one version; `failure` is why there is none."""

    requested: int
    modified_at: float
    ready_at: float
    failure: str = ""


@dataclass
class FunctionUrl:
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
    name: str
    latest: Version
    tags: dict[str, str]
    published: dict[str, Version] = field(default_factory=dict)
    last_number: int = 0
    aliases: dict[str, Alias] = field(default_factory=dict)
    policies: dict[str, Policy] = field(default_factory=dict)
    urls: dict[str, FunctionUrl] = field(default_factory=dict)
    provisioned: dict[str, Provisioned] = field(default_factory=dict)
    reserved_concurrency: int | None = None


@dataclass
class LambdaState:
    """Shared by all operations of a Region; hold `lock` to read or change it."""

    account: str
    region: str
    clock: Clock
    delays: Delays
    registry: Registry
    can_assume: Callable[[str], bool]
    may: Callable[[str, str, str], bool]  # role, action, resource
    functions: dict[str, Function] = field(default_factory=dict)
    account_concurrency: int = 1000
    account_memory_mb: int = 10_240  # the most of one function; 3,008 in many new accounts
    lock: threading.RLock = field(default_factory=threading.RLock)

    def arn(self, name: str, qualifier: str = "") -> str:
        return f"arn:aws:lambda:{self.region}:{self.account}:function:{name}{':' + qualifier if qualifier else ''}"

    def locate(self, params: dict[str, Any]) -> tuple[str, str]:
        """Function name and qualifier from a name, partial ARN or ARN, and the Qualifier parameter."""
        name, qualifier = str(params["FunctionName"]), str(params.get("Qualifier") or "")
        if ":function:" in name:
            name = name.partition(":function:")[2]
        name, _, inner = name.partition(":")
        if inner and qualifier and inner != qualifier:
            raise invalid("The derived qualifier from the function name does not match the specified qualifier.")
        return name, qualifier or inner

    def function(self, params: dict[str, Any]) -> tuple[Function, str]:
        name, qualifier = self.locate(params)
        if name not in self.functions:
            raise not_found(f"Function not found: {self.arn(name, qualifier)}")
        return self.functions[name], qualifier

    def version(self, function: Function, qualifier: str) -> Version:
        """The version that a number, an alias or nothing stands for. Raises ResourceNotFoundException."""
        alias = function.aliases.get(qualifier)
        number = alias.version if alias else qualifier
        if number in ("", LATEST):
            return function.latest
        if number not in function.published:
            raise not_found(f"Function not found: {self.arn(function.name, qualifier)}")
        return function.published[number]

    @property
    def kept_unreserved(self) -> int:
        """Concurrency that no function may reserve: all of it in a new account that has 10 (anomalyco/sst#5829)."""
        return min(100, self.account_concurrency)

    def check_memory(self, config: Config) -> None:
        if config["MemorySize"] > self.account_memory_mb:
            reason = "'MemorySize' value failed to satisfy constraint: Member must have value less than or equal to "
            raise AwsError("ValidationException", f"{reason}{self.account_memory_mb}")

    def check_qualifier(self, function: Function, qualifier: str) -> None:
        if qualifier and qualifier not in function.aliases:
            self.version(function, qualifier)

    def check_revision(self, expected: str | None, actual: str) -> None:
        if expected and expected != actual:
            raise revision_mismatch()

    def check_settled(self, function: Function) -> None:
        """Refuses what AWS refuses while the function is being created or updated."""
        now, latest = self.clock.time(), function.latest
        because = "The operation cannot be performed at this time."
        if now < latest.active_at:
            raise conflict(f"{because} The function is currently in the following state: Pending")
        if now < latest.settled_at:
            raise conflict(f"{because} An update is in progress for resource: {self.arn(function.name)}")

    def check_role(self, config: Config) -> None:
        if not self.can_assume(config["Role"]):
            raise invalid("The role defined for the function cannot be assumed by Lambda.")
        in_vpc = config.get("VpcConfig", {}).get("SubnetIds")
        if in_vpc and not self.may(config["Role"], "ec2:CreateNetworkInterface", "*"):
            raise invalid("The provided execution role does not have permissions to call CreateNetworkInterface on EC2")

    def describe(self, version: Version, *, qualified: bool = False, updates: bool = True) -> Config:
        """The FunctionConfiguration that AWS answers."""
        now, deployed = self.clock.time(), version.deployed
        name = deployed.function
        out = {
            **deployed.config,
            "FunctionName": name,
            "FunctionArn": self.arn(name, version.number if qualified or version.number != LATEST else ""),
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
        if not self.registry.exists(self.region, deployed.image_uri):
            reason = "The function is trying to use a deleted image."
            return out | {"State": "Inactive", "StateReasonCode": "ImageDeleted", "StateReason": reason}
        creating = {"ReasonCode": "Creating", "Reason": "The function is being created."}
        snapshot = version.snapshot
        if now < max(version.active_at, version.awake_at) or (snapshot and not snapshot.taken(WATCH_S)):
            return out | {"State": "Pending"} | {f"State{key}": value for key, value in creating.items()}
        if snapshot and snapshot.failure:
            reason = f"The function failed to initialize: {snapshot.failure.error_type}."
            return out | {"State": "Failed", "StateReasonCode": "FunctionError", "StateReason": reason}
        if snapshot:
            out["SnapStart"] = {**out["SnapStart"], "OptimizationStatus": "On"}
        if version.is_idle(now):
            return out | {"State": "Inactive", "StateReasonCode": "Idle", "StateReason": "The function is idle."}
        if now < version.settled_at:
            out |= {"LastUpdateStatus": "InProgress"} | {f"LastUpdateStatus{k}": v for k, v in creating.items()}
        elif updates:
            out["LastUpdateStatus"] = "Successful"
        return out | {"State": "Active"}


def new_id() -> str:
    return str(uuid.uuid4())


def timestamp(seconds: float) -> str:
    return (
        datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{int(seconds * 1000) % 1000:03d}+0000"
    )
