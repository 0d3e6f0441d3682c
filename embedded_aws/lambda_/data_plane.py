"""Who handles this invocation? A warm execution environment of the version or a new one, within the limits."""

import json
import random
import secrets
import threading
import time
import uuid
from base64 import b64encode
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from embedded_aws.clock import Delays
from embedded_aws.cloudwatch.logs import LogStream
from embedded_aws.cloudwatch.metrics import LambdaMetrics
from embedded_aws.ec2 import vpc
from embedded_aws.ecr.images import Registry
from embedded_aws.errors import AwsError, conflict
from embedded_aws.iam.roles import Roles
from embedded_aws.lambda_.deployed_version import DeployedVersion
from embedded_aws.lambda_.execution_environment import ON_DEMAND, PROVISIONED, SNAP_START, ExecutionEnvironment, Outcome
from embedded_aws.lambda_.launcher import Launcher, SnapshotLauncher
from embedded_aws.lambda_.runtime_api import Invocation
from embedded_aws.lambda_.snapshot import Snapshot
from embedded_aws.lambda_.state import LATEST, LambdaState

SNAPSHOT_INIT_S = 130.0  # https://docs.aws.amazon.com/lambda/latest/dg/snapstart-runtime-hooks-python.html
CREDENTIALS_PATH = "/2021-04-23/credentials"
MAX_PAYLOAD_BYTES = 6 * 1024 * 1024
MAX_ASYNC_PAYLOAD_BYTES = 1024 * 1024  # of botocore's documentation of Invoke
ROLE_KEYS_S = 6 * 3600
ASYNC_ATTEMPTS = 3
ASYNC_AGE_S = 6 * 3600


@dataclass(frozen=True)
class Result:
    """An invocation's outcome as callers see it."""

    outcome: Outcome
    request_id: str
    version: str
    tail: bytes


class DataPlane:
    """Every execution environment there is."""

    def __init__(
        self,
        launcher: SnapshotLauncher,
        registry: Registry,
        roles: Roles,
        metrics: LambdaMetrics,
        delays: Delays,
        endpoint: str,
    ) -> None:
        self._launcher = launcher
        self._registry = registry
        self._roles = roles
        self._metrics = metrics
        self._delays = delays
        self._endpoint = endpoint
        self._lock = threading.Lock()
        self._idle: dict[DeployedVersion, list[ExecutionEnvironment]] = {}
        self._busy: set[ExecutionEnvironment] = set()
        self._retired: set[DeployedVersion] = set()
        self._running: Counter[tuple[str, str]] = Counter()  # concurrent executions by Region and function
        self._role_keys: dict[str, str] = {}  # access key id -> role
        self._credentials: dict[str, dict[str, str]] = {}  # by the token that gets them
        self._snapshots: dict[DeployedVersion, Snapshot] = {}
        self.closed = False

    def invoke(
        self,
        state: LambdaState,
        name: str,
        qualifier: str,
        payload: bytes,
        client_context: str = "",
        trace_id: str = "",
        request_id: str = "",
    ) -> Result:
        """Runs the function once. Raises AwsError for what never reaches it: unknown, not ready, throttled."""
        with state.lock:
            function, _ = state.function({"FunctionName": name, "Qualifier": qualifier})
            version = state.version(function, _routed(function.aliases.get(qualifier), qualifier))
            now = state.clock.time()
            if now < version.active_at:
                because = "The operation cannot be performed at this time."
                raise conflict(f"{because} The function is currently in the following state: Pending")
            if version.is_idle(now):
                version.awake_at = now + self._delays.pending_s
            version.used_at = now
            if now < version.awake_at:
                because = "Lambda is initializing your function. It will be ready to invoke shortly."
                raise AwsError("CodeArtifactUserPendingException", because, 409)  # boto/boto3#3788
            deployed, reserved = version.running(now), function.reserved_concurrency
            provisioned = deployed.version in function.provisioned
            stale = version.previous if version.previous is not deployed else None
        self.forget(stale)
        snapshot = self._snapshots.get(deployed)
        if snapshot and (not snapshot.taken(SNAPSHOT_INIT_S) or snapshot.failure):
            because = "The operation cannot be performed at this time."
            raise conflict(f"{because} The function is currently in the following state: Failed")
        if not self._registry.exists(state.region, deployed.image_uri):
            reason = "Lambda cannot initialize the provided container image. Verify the image."
            raise AwsError("CodeArtifactUserFailedException", reason, 502)
        _check_size(payload, MAX_PAYLOAD_BYTES)
        self._enter(state, name, qualifier, reserved)
        try:
            environment = self._acquire(state, deployed)
            try:
                invocation = Invocation(
                    request_id=request_id or str(uuid.uuid4()),
                    payload=payload or b"{}",
                    function_arn=state.arn(name, qualifier),
                    deadline_ms=int((time.time() + deployed.config["Timeout"]) * 1000),
                    trace_id=trace_id or f"Root=1-{int(time.time()):08x}-{secrets.token_hex(12)}",
                    client_context=client_context,
                )
                outcome = environment.invoke(invocation)
                tail = environment.log.take_tail()
            finally:
                self._release(environment)
        finally:
            with self._lock:
                self._running[state.region, name] -= 1
        if not outcome.restored:
            raise _not_restored(outcome)
        errors = float(outcome.status != "success")
        values = {"Invocations": 1.0, "Errors": errors, "Duration": outcome.duration_ms}
        if environment.kind == PROVISIONED:
            values["ProvisionedConcurrencyInvocations"] = 1.0
        elif provisioned:
            values["ProvisionedConcurrencySpilloverInvocations"] = 1.0
        self._metrics.put(state.region, name, qualifier, values)
        return Result(outcome, invocation.request_id, deployed.version, tail)

    def role_of(self, access_key: str) -> str | None:
        """The role whose credentials an execution environment was given."""
        return self._role_keys.get(access_key)

    def forget(self, deployed: DeployedVersion | None) -> None:
        """Stops the idle environments of something that is no longer deployed, and the busy ones when they finish."""
        if deployed is None:
            return
        with self._lock:
            self._retired.add(deployed)
            idle = self._idle.pop(deployed, [])
            snapshot = self._snapshots.pop(deployed, None)
        for environment in idle:
            environment.stop()
        if snapshot:
            snapshot.close()

    def environments(self, function: str | None = None) -> list[ExecutionEnvironment]:
        with self._lock:
            every = [*self._busy, *(e for idle in self._idle.values() for e in idle)]
        return [e for e in every if function in (None, e.deployed.function)]

    def close(self) -> None:
        with self._lock:
            self.closed = True
            every = [*self._busy, *(e for idle in self._idle.values() for e in idle)]
            self._idle.clear()
        for environment in every:
            environment.stop()
        for snapshot in self._snapshots.values():
            snapshot.close()

    def take_snapshot(self, state: LambdaState, deployed: DeployedVersion) -> Snapshot:
        """Does INIT for all environments of this version."""
        snapshot = Snapshot(self._launcher)
        snapshot.take(self._new(state, deployed, SNAP_START, snapshot.launcher, SNAPSHOT_INIT_S))
        self._snapshots[deployed] = snapshot
        return snapshot

    def credentials(self, token: str) -> dict[str, str] | None:
        """What a function with SnapStart asks for, instead of finding it in its variables."""
        return self._credentials.get(token)

    def _enter(self, state: LambdaState, name: str, qualifier: str, reserved: int | None) -> None:
        with self._lock:
            here = [n for (region, _), n in self._running.items() if region == state.region]
            limit = state.account_concurrency if reserved is None else reserved
            if (sum(here) if reserved is None else self._running[state.region, name]) < limit:
                self._running[state.region, name] += 1
                return
        self._metrics.put(state.region, name, qualifier, {"Throttles": 1.0})
        which = "ConcurrentInvocation" if reserved is None else "ReservedFunctionConcurrentInvocation"
        raise AwsError("TooManyRequestsException", "Rate Exceeded.", 429, Reason=f"{which}LimitExceeded")

    def _acquire(self, state: LambdaState, deployed: DeployedVersion) -> ExecutionEnvironment:
        with self._lock:
            if self.closed:
                raise AwsError("ServiceException", "The embedded AWS is closing.", 500)
            idle = self._idle.get(deployed, [])
            while idle:
                environment = next((one for one in idle if one.kind == PROVISIONED), idle[-1])
                idle.remove(environment)
                if environment.alive:
                    self._busy.add(environment)
                    return environment
                environment.stop()
            environment = self._new(state, deployed, ON_DEMAND)
            self._busy.add(environment)
            return environment

    def _new(
        self,
        state: LambdaState,
        deployed: DeployedVersion,
        kind: str,
        launcher: Launcher | None = None,
        init_timeout_s: float | None = None,
    ) -> ExecutionEnvironment:
        snapshot = None if launcher else self._snapshots.get(deployed)
        if deployed.version != LATEST and deployed.config["SnapStart"]["ApplyOn"] == "PublishedVersions":
            kind = SNAP_START
        log = LogStream(state.account, state.region, state.clock, self._roles, deployed)
        command = deployed.config.get("ImageConfig", {}).get("Command")
        image = self._registry.image(deployed.image_digest).with_command(command)
        return ExecutionEnvironment(
            deployed,
            image,
            self._environ(state, deployed, log, kind),
            launcher or snapshot or self._launcher,
            log,
            init_timeout_s or self._delays.init_timeout_s,
            kind,
            restored=snapshot is not None,
        )

    def provision(self, state: LambdaState, deployed: DeployedVersion, wanted: int) -> str:
        """Keeps so many environments ready for this version, for whose INIT no request waits. Returns why it failed."""
        with self._lock:
            every = [*self._idle.get(deployed, []), *(e for e in self._busy if e.deployed is deployed)]
            there = [one for one in every if one.kind == PROVISIONED]
            for surplus in there[wanted:]:
                surplus.kind = ON_DEMAND  # what is running still finishes
                if surplus in self._idle.get(deployed, []):
                    self._idle[deployed].remove(surplus)
                    surplus.stop()
            new = [self._new(state, deployed, PROVISIONED) for _ in range(wanted - len(there))]
        with ThreadPoolExecutor(max_workers=len(new) or 1) as pool:
            failed = [outcome for outcome in pool.map(ExecutionEnvironment.initialize, new) if outcome]
        for environment in new:
            if failed:
                environment.stop()
            else:
                self._release(environment)
        return "FUNCTION_ERROR_INIT_FAILURE" if failed else ""

    def _release(self, environment: ExecutionEnvironment) -> None:
        with self._lock:
            self._busy.discard(environment)
            keep = environment.alive and environment.deployed not in self._retired and not self.closed
            if keep:
                self._idle.setdefault(environment.deployed, []).append(environment)
        if not keep:
            environment.stop()

    def _environ(self, state: LambdaState, deployed: DeployedVersion, log: LogStream, kind: str) -> dict[str, str]:
        """What Lambda sets, then what the function's configuration adds; nothing of this machine's."""
        config = deployed.config
        subnets = config.get("VpcConfig", {}).get("SubnetIds", [])
        key = "ASIA" + secrets.token_hex(8).upper()
        self._role_keys[key] = config["Role"]
        variables = {
            "AWS_LAMBDA_FUNCTION_NAME": deployed.function,
            "AWS_LAMBDA_FUNCTION_VERSION": deployed.version,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(config["MemorySize"]),
            "AWS_LAMBDA_INITIALIZATION_TYPE": kind,
            "AWS_LAMBDA_LOG_FORMAT": "JSON" if log.json else "Text",
            "AWS_REGION": state.region,
            "AWS_DEFAULT_REGION": state.region,
            "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
            **vpc.endpoints(state.account, state.region, subnets, self._endpoint),
        }
        secret, token = secrets.token_hex(20), secrets.token_hex(20)
        if kind == SNAP_START:  # what is in a snapshot must not expire, nor name the log of another environment
            expiry = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + ROLE_KEYS_S))
            keys = {"AccessKeyId": key, "SecretAccessKey": secret, "Token": token, "Expiration": expiry}
            self._credentials[token] = keys
            variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = self._endpoint + CREDENTIALS_PATH
            variables["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = token
        else:
            variables |= {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret, "AWS_SESSION_TOKEN": token}
            variables |= {"AWS_LAMBDA_LOG_GROUP_NAME": log.group, "AWS_LAMBDA_LOG_STREAM_NAME": log.name}
        if log.json:
            variables["AWS_LAMBDA_LOG_LEVEL"] = log.level
        return {**config.get("Environment", {}).get("Variables", {}), **variables}


class Invocations:
    """The Invoke operation."""

    def __init__(self, state: LambdaState, data_plane: DataPlane) -> None:
        self.state = state
        self._data_plane = data_plane

    def invoke(self, params: dict[str, Any]) -> dict[str, Any]:
        name, qualifier = self.state.locate(params)
        payload, kind = params.get("Payload") or b"", params.get("InvocationType", "RequestResponse")
        if payload:
            try:
                json.loads(payload)
            except ValueError as error:
                raise AwsError(
                    "InvalidRequestContentException", f"Could not parse request body into json: {error}"
                ) from error
        if kind == "DryRun":
            self.state.function(params)
            return {"StatusCode": 204}
        context = params.get("ClientContext", "")
        if kind == "Event":
            self.state.function(params)
            _check_size(payload, MAX_ASYNC_PAYLOAD_BYTES)
            threading.Thread(target=self._run_queued, args=(name, qualifier, payload), daemon=True).start()
            return {"StatusCode": 202}
        result = self._data_plane.invoke(self.state, name, qualifier, payload, context)
        out: dict[str, Any] = {"StatusCode": 200, "ExecutedVersion": result.version, "Payload": result.outcome.payload}
        if result.outcome.status != "success":
            out["FunctionError"] = "Unhandled"
        if params.get("LogType") == "Tail":
            out["LogResult"] = b64encode(result.tail).decode()
        return out

    def _run_queued(self, name: str, qualifier: str, payload: bytes) -> None:
        """Until it succeeds, at most three times; what was throttled, or Lambda's own fault, for six hours.

        On AWS a minute passes before it is tried again, then two (the guide's invocation-async-error-handling.html).
        """
        clock, request_id, failures = self.state.clock, str(uuid.uuid4()), 0
        given_up_at = clock.time() + ASYNC_AGE_S
        while clock.time() < given_up_at and not self._data_plane.closed:
            try:
                result = self._data_plane.invoke(self.state, name, qualifier, payload, request_id=request_id)
                failures += 1
                if result.outcome.status == "success" or failures == ASYNC_ATTEMPTS:
                    return
            except AwsError as error:
                if error.status != 429 and error.status < 500:
                    return
            clock.sleep(self.state.delays.async_retry_s * max(failures, 1))


def _check_size(payload: bytes, limit: int) -> None:
    if len(payload) > limit:
        reason = f"Request must be smaller than {limit} bytes for the InvokeFunction operation"
        raise AwsError("RequestTooLargeException", reason, 413)


def _not_restored(outcome: Outcome) -> AwsError:
    """After a restore nothing is tried again, and what the hook said is only in the log."""
    if outcome.status == "timeout":
        return AwsError(
            "SnapStartTimeoutException", "Lambda couldn't restore the snapshot within the timeout limit.", 408
        )
    reason = (
        "The afterRestore() runtime hook encountered an error. For more information, check the Amazon CloudWatch logs."
    )
    return AwsError("SnapStartException", reason)


def _routed(alias: Any, qualifier: str) -> str:
    """The version that an alias sends this invocation to."""
    if alias is None:
        return qualifier
    for version, weight in alias.weights.items():
        if random.random() < weight:  # noqa: S311
            return str(version)
    return str(alias.version)
