"""Lambda's data plane: choose or start an execution environment for each invocation and enforce concurrency limits."""

import random
import secrets
import threading
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from embedded_aws.clock import Delays
from embedded_aws.cloudwatch.logs import LogStream
from embedded_aws.cloudwatch.metrics import ServiceMetrics
from embedded_aws.ec2 import vpc
from embedded_aws.ecr.images import Registry
from embedded_aws.errors import AwsError, conflict
from embedded_aws.iam.roles import Roles
from embedded_aws.lambda_.deployed_version import DeployedVersion
from embedded_aws.lambda_.execution_environment import ON_DEMAND, PROVISIONED, SNAP_START, ExecutionEnvironment, Outcome
from embedded_aws.lambda_.launcher import Launcher, SnapshotLauncher
from embedded_aws.lambda_.runtime_api import Invocation
from embedded_aws.lambda_.snapshot import Snapshot
from embedded_aws.lambda_.state import LATEST, Alias, ConcurrencyLimit, Function, LambdaState, Version

SNAPSHOT_INIT_S = 130.0  # https://docs.aws.amazon.com/lambda/latest/dg/snapstart-runtime-hooks-python.html
REGENERATION_FAILED = (  # botocore's documentation of the exception; AWS's own message is not known
    "Lambda couldn't regenerate the SnapStart snapshot for the function. Wait for Lambda to retry, or update the "
    "function's configuration to trigger a new snapshot."
)
CREDENTIALS_PATH = "/2021-04-23/credentials"
MAX_PAYLOAD_BYTES = 6 * 1024 * 1024
ROLE_CREDENTIALS_S = 6 * 3600  # lifetime of the credentials of a function with SnapStart


@dataclass(frozen=True)
class InvocationResult:
    """The outcome of an invocation, the version that ran and the last 4 KB of its log."""

    outcome: Outcome
    request_id: str
    version: str
    tail: bytes


class DataPlane:
    """The execution environments of all functions in all Regions."""

    def __init__(
        self,
        launcher: SnapshotLauncher,
        registry: Registry,
        roles: Roles,
        metrics: ServiceMetrics,
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
        self._executions: Counter[tuple[str, str]] = Counter()  # concurrent executions by Region and function
        self._roles_by_access_key: dict[str, str] = {}  # role ARNs by access key ID
        self._credentials: dict[str, dict[str, str]] = {}  # by authorization token
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
        *,
        complete_tail: bool = False,
    ) -> InvocationResult:
        """Run the function once. With `complete_tail`, wait for its last log lines.

        Raise AwsError if it does not exist, is not ready or is throttled.
        """
        with state.lock:
            function, version, deployed = self._find_version(state, name, qualifier)
            replaced = version.previous if version.previous is not deployed else None
            limit = state.concurrency_limit(function)
            has_provisioned = deployed.version in function.provisioned
        self.forget(replaced)
        self._check_image(state, deployed)
        check_payload_size(payload, MAX_PAYLOAD_BYTES)
        self._check_concurrency(state, name, qualifier, limit)
        try:
            environment = self._acquire(state, deployed)
            try:
                invocation = Invocation(
                    request_id=request_id or str(uuid.uuid4()),
                    payload=payload or b"{}",
                    function_arn=state.arn(name, qualifier),
                    deadline_ms=int((time.time() + deployed.config["Timeout"]) * 1000),
                    trace_id=_trace_header(trace_id, deployed),
                    client_context=client_context,
                )
                outcome = environment.invoke(invocation)
                tail = environment.take_tail(complete=complete_tail)
            except OSError as error:
                if not self.closed:
                    raise
                raise _closing_error() from error  # the launcher has deleted its files
            finally:
                self._release(environment)
        finally:
            with self._lock:
                self._executions[state.region, name] -= 1
        if outcome.restore_failed:
            raise _restore_error(outcome)
        errors = float(outcome.status != "success")
        values = {"Invocations": 1.0, "Errors": errors, "Duration": outcome.duration_ms}
        if environment.kind == PROVISIONED:
            values["ProvisionedConcurrencyInvocations"] = 1.0
        elif has_provisioned:
            values["ProvisionedConcurrencySpilloverInvocations"] = 1.0
        self._metrics.put(state.region, name, qualifier, values)
        return InvocationResult(outcome, invocation.request_id, deployed.version, tail)

    def role_of(self, access_key: str) -> str | None:
        """Return the ARN of the execution role that these credentials belong to, or None if they are unknown."""
        return self._roles_by_access_key.get(access_key)

    def credentials(self, token: str) -> dict[str, str] | None:
        """Return the role credentials for this authorization token, or None if it is unknown.

        Functions with SnapStart request their credentials because those in a snapshot would expire.
        """
        return self._credentials.get(token)

    def forget(self, deployed: DeployedVersion | None) -> None:
        """Stop the idle environments of a replaced or deleted version now, and its busy ones when they finish."""
        if deployed is None:
            return
        with self._lock:
            self._retired.add(deployed)
            idle = self._idle.pop(deployed, [])
            snapshot = self._pop_unused_snapshot(deployed)
        for environment in idle:
            environment.stop()
        if snapshot:
            snapshot.close()

    def environments(self, function: str | None = None) -> list[ExecutionEnvironment]:
        """Return the current execution environments of one function, or of all functions."""
        with self._lock:
            environments = self._all_environments()
        return [e for e in environments if function in (None, e.deployed.function)]

    def close(self) -> None:
        """Stop all execution environments and refuse further invocations."""
        with self._lock:
            self.closed = True
            environments = self._all_environments()
            self._idle.clear()
        for environment in environments:
            environment.stop()
        for snapshot in self._snapshots.values():
            snapshot.close()

    def take_snapshot(self, state: LambdaState, deployed: DeployedVersion) -> Snapshot:
        """Start INIT in the background. All environments of this version are then restored from its snapshot."""
        snapshot = Snapshot(self._launcher)
        snapshot.take(self._new_environment(state, deployed, SNAP_START, snapshot.launcher, SNAPSHOT_INIT_S))
        self._snapshots[deployed] = snapshot
        return snapshot

    def provision(self, state: LambdaState, deployed: DeployedVersion, count: int) -> str:
        """Keep this number of initialized environments for the version.

        Return the reason code of the failure, or an empty string.
        """
        with self._lock:
            environments = [*self._idle.get(deployed, []), *(e for e in self._busy if e.deployed is deployed)]
            provisioned = [environment for environment in environments if environment.kind == PROVISIONED]
            for surplus in provisioned[count:]:
                surplus.kind = ON_DEMAND  # a busy one finishes its invocation first
                if surplus in self._idle.get(deployed, []):
                    self._idle[deployed].remove(surplus)
                    surplus.stop()
            new = [self._new_environment(state, deployed, PROVISIONED) for _ in range(count - len(provisioned))]
            self._busy.update(new)
        failed = True
        try:
            with ThreadPoolExecutor(max_workers=len(new) or 1) as pool:
                failed = any([*pool.map(ExecutionEnvironment.initialize, new)])
        finally:
            for environment in new:
                if failed:
                    environment.stop()
                self._release(environment)
        return "FUNCTION_ERROR_INIT_FAILURE" if failed else ""

    def _find_version(self, state: LambdaState, name: str, qualifier: str) -> tuple[Function, Version, DeployedVersion]:
        """Return the function, the version, and the configuration that the version runs now.

        Raise AwsError while the version is pending. A version that Lambda has made inactive becomes pending again.
        The caller holds the state's lock.
        """
        function, _ = state.function({"FunctionName": name, "Qualifier": qualifier})
        version = state.version(function, _choose_version(function.aliases.get(qualifier), qualifier))
        now = state.clock.time()
        state.check_active(version)
        if version.snapshot and not version.snapshot.taken():
            message = "Lambda is initializing your function. You can invoke it when its state is Active."
            raise AwsError("SnapStartNotReadyException", message, 409)
        if version.regeneration_failed:
            raise AwsError("SnapStartRegenerationFailureException", REGENERATION_FAILED, 409)
        if version.is_idle(now):
            version.awake_at = now + self._delays.pending_s
        version.used_at = now
        if now < version.awake_at:
            message = "Lambda is initializing your function. It will be ready to invoke shortly."
            raise AwsError("CodeArtifactUserPendingException", message, 409)  # boto/boto3#3788
        return function, version, version.current_deployment(now)

    def _check_image(self, state: LambdaState, deployed: DeployedVersion) -> None:
        """Raise AwsError if INIT of the snapshot has failed or if the image was deleted."""
        snapshot = self._snapshots.get(deployed)
        if snapshot and snapshot.failure:
            message = "The operation cannot be performed at this time."
            raise conflict(f"{message} The function is currently in the following state: Failed")
        if not self._registry.exists(state.region, deployed.image_uri):
            message = "Lambda cannot initialize the provided container image. Verify the image."
            raise AwsError("CodeArtifactUserFailedException", message, 502)

    def _pop_unused_snapshot(self, deployed: DeployedVersion) -> Snapshot | None:
        """Remove the snapshot of a version that cannot be invoked again, unless an environment is still busy.

        The process of INIT is the parent of the restored processes, which do not survive it. The caller holds the lock.
        """
        if deployed not in self._retired or any(environment.deployed is deployed for environment in self._busy):
            return None
        return self._snapshots.pop(deployed, None)

    def _all_environments(self) -> list[ExecutionEnvironment]:
        """Return all environments. The caller holds the lock."""
        return [*self._busy, *(environment for idle in self._idle.values() for environment in idle)]

    def _check_concurrency(self, state: LambdaState, name: str, qualifier: str, limit: ConcurrencyLimit) -> None:
        """Count one more concurrent execution. Raise AwsError if it would exceed the limit."""
        with self._lock:
            if sum(self._executions[state.region, function] for function in limit.functions) < limit.maximum:
                self._executions[state.region, name] += 1
                return
        self._metrics.put(state.region, name, qualifier, {"Throttles": 1.0})
        reason = "ReservedFunctionConcurrentInvocation" if limit.is_reserved else "ConcurrentInvocation"
        raise AwsError("TooManyRequestsException", "Rate Exceeded.", 429, Reason=f"{reason}LimitExceeded")

    def _acquire(self, state: LambdaState, deployed: DeployedVersion) -> ExecutionEnvironment:
        """Return an idle environment, with provisioned ones first, or a new one."""
        with self._lock:
            if self.closed:
                raise _closing_error()
            idle = self._idle.get(deployed, [])
            while idle:
                environment = next((candidate for candidate in idle if candidate.kind == PROVISIONED), idle[-1])
                idle.remove(environment)
                if environment.alive:
                    self._busy.add(environment)
                    return environment
                environment.stop()
            if not self._roles.can_assume(deployed.config["Role"]):
                raise AwsError(
                    "AccessDeniedException", "The role defined for the function cannot be assumed by Lambda.", 403
                )
            environment = self._new_environment(state, deployed, ON_DEMAND)
            self._busy.add(environment)
            return environment

    def _new_environment(
        self,
        state: LambdaState,
        deployed: DeployedVersion,
        kind: str,
        launcher: Launcher | None = None,
        init_timeout_s: float | None = None,
    ) -> ExecutionEnvironment:
        """Create an environment without starting it.

        It is restored from the version's snapshot if there is one and no launcher is passed.
        """
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
            uses_snapshot=snapshot is not None,
        )

    def _release(self, environment: ExecutionEnvironment) -> None:
        """Keep the environment for the next invocation, or stop it if it can no longer be used."""
        with self._lock:
            self._busy.discard(environment)
            keep = environment.alive and environment.deployed not in self._retired and not self.closed
            if keep:
                self._idle.setdefault(environment.deployed, []).append(environment)
            snapshot = self._pop_unused_snapshot(environment.deployed)
        if not keep:
            environment.stop()
        if snapshot:
            snapshot.close()

    def _environ(self, state: LambdaState, deployed: DeployedVersion, log: LogStream, kind: str) -> dict[str, str]:
        """Return the variables that Lambda sets and those of the function's configuration.

        https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
        """
        config = deployed.config
        subnets = config.get("VpcConfig", {}).get("SubnetIds", [])
        key = "ASIA" + secrets.token_hex(8).upper()
        self._roles_by_access_key[key] = config["Role"]
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
        if kind == SNAP_START:  # all restored environments share the snapshot's variables, so they name no log stream
            expiration = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + ROLE_CREDENTIALS_S))
            credentials = {"AccessKeyId": key, "SecretAccessKey": secret, "Token": token, "Expiration": expiration}
            self._credentials[token] = credentials
            variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = self._endpoint + CREDENTIALS_PATH
            variables["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = token
        else:
            variables |= {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret, "AWS_SESSION_TOKEN": token}
            variables |= {"AWS_LAMBDA_LOG_GROUP_NAME": log.group, "AWS_LAMBDA_LOG_STREAM_NAME": log.name}
        if log.json:
            variables["AWS_LAMBDA_LOG_LEVEL"] = log.level
        return {**config.get("Environment", {}).get("Variables", {}), **variables}


def check_payload_size(payload: bytes, limit: int) -> None:
    """Raise AwsError if the payload is larger than this number of bytes."""
    if len(payload) > limit:
        message = f"Request must be smaller than {limit} bytes for the InvokeFunction operation"
        raise AwsError("RequestTooLargeException", message, 413)


def _closing_error() -> AwsError:
    """Return the error for an invocation that starts while the embedded AWS is closing."""
    return AwsError("ServiceException", "The embedded AWS is closing.", 500)


def _trace_header(received: str, deployed: DeployedVersion) -> str:
    """Return the X-Ray header for a function. With active tracing, Lambda decides to sample a request; here, each one.

    https://docs.aws.amazon.com/lambda/latest/dg/services-xray.html
    """
    header = received or f"Root=1-{int(time.time()):08x}-{secrets.token_hex(12)}"
    if deployed.config["TracingConfig"]["Mode"] != "Active" or "Sampled=" in header:
        return header
    return f"{header};Parent={secrets.token_hex(8)};Sampled=1"


def _restore_error(outcome: Outcome) -> AwsError:
    """Return Lambda's error for a failed restore. Lambda does not retry it and logs the hook's own error only."""
    if outcome.status == "timeout":
        message = "Lambda couldn't restore the snapshot within the timeout limit."
        return AwsError("SnapStartTimeoutException", message, 408)
    message = (
        "The afterRestore() runtime hook encountered an error. For more information, check the Amazon CloudWatch logs."
    )
    return AwsError("SnapStartException", message)


def _choose_version(alias: Alias | None, qualifier: str) -> str:
    """Return the version that the alias routes this invocation to, or the qualifier if it is not an alias."""
    if alias is None:
        return qualifier
    for version, weight in alias.weights.items():
        if random.random() < weight:  # noqa: S311
            return version
    return alias.version
