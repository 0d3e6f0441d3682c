"""An execution environment: INIT or restore, invocations, time-outs, memory limit and the log records of each."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from embedded_aws.cloudwatch.logs import LogStream
from embedded_aws.ecr.images import Image
from embedded_aws.lambda_.deployed_version import DeployedVersion
from embedded_aws.lambda_.launcher import Launcher
from embedded_aws.lambda_.runtime_api import MAX_RESPONSE_BYTES, Invocation
from embedded_aws.lambda_.runtime_process import RuntimeProcess, resident_kb

# https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html: AWS_LAMBDA_INITIALIZATION_TYPE
ON_DEMAND, PROVISIONED, SNAP_START = "on-demand", "provisioned-concurrency", "snap-start"
MEMORY_CHECK_S = 0.05  # the interval at which the memory of a running process is measured


@dataclass(frozen=True)
class Outcome:
    """The result of INIT or of an invocation.

    `status` is success, error, failure or timeout, as in the record platform.report. `payload` is the response, or the
    error as JSON.
    """

    payload: bytes
    status: str = "success"
    error_type: str = ""
    duration_ms: float = 0.0
    restore_failed: bool = False  # the handler did not run


class ExecutionEnvironment:
    """A process that handles one invocation at a time. It cannot be used again once `alive` is False."""

    def __init__(
        self,
        deployed: DeployedVersion,
        image: Image,
        environ: Mapping[str, str],
        launcher: Launcher,
        log: LogStream,
        init_timeout_s: float,
        kind: str = ON_DEMAND,
        *,
        uses_snapshot: bool = False,
    ) -> None:
        self.deployed = deployed
        self.log = log
        self.kind = kind
        self.uses_snapshot = uses_snapshot  # it is restored instead of running INIT
        self.invocations = 0
        self.init_started = False  # or the restore has started
        self._image = image
        self._environ = environ
        self._launcher = launcher
        self._init_timeout_s = init_timeout_s
        self._timeout_s: int = deployed.config["Timeout"]
        self._memory_mb: int = deployed.config["MemorySize"]
        self._runtime: RuntimeProcess | None = None
        self._peak_mb = 0
        self._init_ms: float | None = None
        self._restore_ms: float | None = None

    @property
    def alive(self) -> bool:
        """True while the process runs."""
        return self._runtime is not None and self._runtime.exit_code is None

    @property
    def pid(self) -> int:
        """The ID of the process, or 0 if none was started."""
        return self._runtime.pid if self._runtime else 0

    def invoke(self, invocation: Invocation) -> Outcome:
        """Run the handler. Run INIT first if it has not run yet."""
        self.invocations += 1
        failure = None if self.init_started else self.initialize()
        record = {"requestId": invocation.request_id, "version": self.deployed.version}
        start = f"START RequestId: {invocation.request_id} Version: {self.deployed.version}"
        self.log.write_record("platform.start", record, "INFO", start)
        started_at = time.monotonic()
        deadline = started_at + self._timeout_s
        if failure and self.uses_snapshot:
            return replace(failure, restore_failed=True)
        if failure:  # AWS runs INIT once more, now within the function's own time-out
            failure = self._start(invocation.request_id, deadline, f"{self._timeout_s:.2f}")
        outcome = failure or self._run(invocation, deadline)
        outcome = replace(outcome, duration_ms=(time.monotonic() - started_at) * 1000)
        self._report(invocation.request_id, outcome)
        return outcome

    def take_tail(self, *, complete: bool) -> bytes:
        """Return the last 4 KB of the log since the previous call. With `complete`, wait for late output."""
        if complete and self._runtime and self.alive:
            self._runtime.drain(self._runtime.output_delay_ms)
        return self.log.take_tail()

    def stop(self) -> None:
        """Kill the process and everything it started."""
        if self._runtime:
            self._runtime.close()

    def initialize(self) -> Outcome | None:
        """Run INIT, or restore the snapshot. Return the failure, or None if the environment is ready."""
        started_at = time.monotonic()
        self.init_started = True
        if self.uses_snapshot:
            return self._restore(started_at)
        phase = {"initializationType": self.kind, "phase": "init"}
        version = {"functionName": self.deployed.function, "functionVersion": self.deployed.version}
        self.log.write_record("platform.initStart", {**phase, **version}, "DEBUG")
        failure = self._start("", started_at + self._init_timeout_s, f"{self._init_timeout_s:.2f}")
        self._init_ms = (time.monotonic() - started_at) * 1000
        report: dict[str, Any] = {**phase, "status": failure.status if failure else "success"}
        report["metrics"] = {"durationMs": round(self._init_ms, 3)}
        text = ""
        if failure:
            report["errorType"] = failure.error_type
            text = f"INIT_REPORT Init Duration: {self._init_ms:.2f} ms\tPhase: init\tStatus: {failure.status}"
        self.log.write_record("platform.initReport", report, "WARN" if failure else "DEBUG", text)
        return failure

    def _restore(self, started_at: float) -> Outcome | None:
        version = {"functionName": self.deployed.function, "functionVersion": self.deployed.version}
        self.log.write_record("platform.restoreStart", version, "DEBUG")
        failure = self._start("", started_at + self._init_timeout_s, f"{self._init_timeout_s:.2f}")
        self._restore_ms = (time.monotonic() - started_at) * 1000
        report: dict[str, Any] = {"status": failure.status if failure else "success"}
        text = ""
        if failure:
            report["errorType"] = failure.error_type
            text = f"RESTORE_REPORT Restore Duration: {self._restore_ms:.2f} ms\tStatus: {failure.status}"
        report["metrics"] = {"durationMs": round(self._restore_ms, 3)}
        self.log.write_record("platform.restoreReport", report, "WARN" if failure else "DEBUG", text)
        return failure

    def _start(self, request_id: str, deadline: float, limit: str) -> Outcome | None:
        """Start the process and wait until it requests an invocation. Return the failure, if any.

        `limit` is the time-out in seconds, as the error message states it.
        """
        self.stop()
        if self._image.architecture not in self.deployed.config["Architectures"]:
            message = f"RequestId: {request_id} Error: fork/exec /lambda-entrypoint.sh: exec format error"
            return _failure("Runtime.InvalidEntrypoint", message)
        self._runtime = runtime = RuntimeProcess(self._launcher, self._image, self._environ, self.log)
        api = runtime.api
        return self._wait(lambda: api.ready or api.posted is not None, request_id, deadline, limit)

    def _run(self, invocation: Invocation, deadline: float) -> Outcome:
        assert self._runtime is not None
        api = self._runtime.api
        api.hand_out(invocation)
        limit = f"{self._timeout_s:.2f}"
        failure = self._wait(lambda: api.posted is not None, invocation.request_id, deadline, limit)
        if failure:
            return failure
        assert api.posted is not None
        return Outcome(api.posted.payload)

    def _wait(self, is_done: Callable[[], bool], request_id: str, deadline: float, limit: str) -> Outcome | None:
        """Wait for the runtime. Kill it if it exceeds the time-out or the memory limit. Return the failure, if any."""
        runtime = self._runtime
        assert runtime is not None
        api = runtime.api
        timed_out = False
        killed_for_memory = False
        left_s = deadline - time.monotonic()
        with api.changed:
            while not is_done() and runtime.exit_code is None:
                if left_s <= 0:
                    timed_out = True
                    break
                waiting_since = time.monotonic()
                is_changed = api.changed.wait(min(left_s, MEMORY_CHECK_S))
                # A longer wait than the interval means that the machine was paused, which is not the function's time.
                left_s -= min(time.monotonic() - waiting_since, 2 * MEMORY_CHECK_S)
                if is_changed:
                    continue
                resident = resident_kb(runtime.pid) // 1024
                self._peak_mb = max(self._peak_mb, resident)
                if resident > self._memory_mb:
                    killed_for_memory = True
                    runtime.process.kill()
                    api.changed.wait_for(lambda: runtime.exit_code is not None, 5)
        posted = api.posted
        self._peak_mb = max(self._peak_mb, resident_kb(runtime.pid, peak=True) // 1024)
        failure: Outcome | None = None
        if timed_out:
            message = f"RequestId: {request_id} Error: Task timed out after {limit} seconds"
            failure = _failure("Sandbox.Timedout", message, "timeout")
        elif posted and posted.kind == "error":  # the runtime handles further invocations
            runtime.drain()
            return Outcome(posted.payload, "error", posted.error_type or "Unhandled")
        elif posted and posted.kind in ("init_error", "restore_error"):
            failure = Outcome(posted.payload, "error", posted.error_type)
        elif posted and posted.kind == "too_large":
            message = f"Response payload size exceeded maximum allowed payload size ({MAX_RESPONSE_BYTES} bytes)."
            failure = _failure("Function.ResponseSizeTooLarge", message, "error")
        elif not is_done():
            message = f"RequestId: {request_id} Error: {_exit_message(runtime.exit_code, killed_for_memory)}"
            failure = _failure("Runtime.ExitError", message)
        if failure is None:
            runtime.drain()
            return None
        self.stop()  # this also logs the remaining output, before the report is written
        if failure.status in ("timeout", "failure") and not self.log.json:
            self.log.write_line(json.loads(failure.payload)["errorMessage"])
        return failure

    def _report(self, request_id: str, outcome: Outcome) -> None:
        """Write the records platform.runtimeDone and platform.report, or the lines END and REPORT."""
        succeeded = outcome.status == "success"
        init_ms, self._init_ms = self._init_ms, None
        billed_init_ms = (init_ms or 0) if self.kind == ON_DEMAND else 0  # for other kinds, INIT is billed separately
        billed_ms = int(outcome.duration_ms + billed_init_ms) + 1
        metrics: dict[str, Any] = {
            "durationMs": round(outcome.duration_ms, 3),
            "billedDurationMs": billed_ms,
            "memorySizeMB": self._memory_mb,
            "maxMemoryUsedMB": self._peak_mb,
        }
        text = (
            f"REPORT RequestId: {request_id}\tDuration: {outcome.duration_ms:.2f} ms\tBilled Duration: {billed_ms} ms\t"
            f"Memory Size: {self._memory_mb} MB\tMax Memory Used: {self._peak_mb} MB\t"
        )
        if init_ms is not None:
            metrics["initDurationMs"] = round(init_ms, 3)
            text += f"Init Duration: {init_ms:.2f} ms\t"
        restore_ms, self._restore_ms = self._restore_ms, None
        if restore_ms is not None:
            billed_restore_ms = int(restore_ms) + 1
            metrics |= {"restoreDurationMs": round(restore_ms, 3), "billedRestoreDurationMs": billed_restore_ms}
            text += f"Restore Duration: {restore_ms:.2f} ms\tBilled Restore Duration: {billed_restore_ms} ms\t"
        record: dict[str, Any] = {"requestId": request_id, "status": outcome.status}
        if not succeeded:
            record["errorType"] = outcome.error_type
        runtime_metrics = {"durationMs": metrics["durationMs"], "producedBytes": len(outcome.payload)}
        self.log.write_record(
            "platform.runtimeDone",
            {**record, "metrics": runtime_metrics},
            "DEBUG" if succeeded else "WARN",
            f"END RequestId: {request_id}",
        )
        self.log.write_record("platform.report", {**record, "metrics": metrics}, "INFO" if succeeded else "WARN", text)


def _failure(error_type: str, message: str, status: str = "failure") -> Outcome:
    return Outcome(json.dumps({"errorType": error_type, "errorMessage": message}).encode(), status, error_type)


def _exit_message(code: int | None, out_of_memory: bool) -> str:
    if out_of_memory or code == -9:
        return "Runtime exited with error: signal: killed"
    if code is not None and code < 0:
        return f"Runtime exited with error: signal: {'segmentation fault' if code == -11 else -code}"
    return f"Runtime exited with error: exit status {code}" if code else "Runtime exited without providing a reason"
