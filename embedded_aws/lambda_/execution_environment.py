"""One execution environment: how does it start, what does an invocation in it come to, how does it end?"""

import contextlib
import json
import os
import select
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from embedded_aws.cloudwatch.logs import LogStream
from embedded_aws.ecr.images import Image
from embedded_aws.lambda_.deployed_version import DeployedVersion
from embedded_aws.lambda_.launcher import Launcher
from embedded_aws.lambda_.runtime_api import MAX_RESPONSE_BYTES, Invocation, RuntimeApi

# https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html: AWS_LAMBDA_INITIALIZATION_TYPE
ON_DEMAND, PROVISIONED, SNAP_START = "on-demand", "provisioned-concurrency", "snap-start"
WATCH_S = 0.05  # how often memory is looked at while something runs


@dataclass(frozen=True)
class Outcome:
    """What an invocation came to. `status` is success, error, failure or timeout, as platform.report says it."""

    payload: bytes
    status: str = "success"
    error_type: str = ""
    duration_ms: float = 0.0
    cold: bool = False
    restored: bool = True  # False: nothing ran, since the environment could not be restored


class ExecutionEnvironment:
    """A process that handles one invocation at a time. Not reusable when `alive` is false."""

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
        restored: bool = False,
    ) -> None:
        self.deployed = deployed
        self.log = log
        self.kind = kind
        self.restored = restored  # from a snapshot: it starts where INIT has ended
        self.invocations = 0
        self.ready = False  # INIT is behind it
        self._image = image
        self._environ = environ
        self._launcher = launcher
        self._init_timeout_s = init_timeout_s
        self._timeout_s: int = deployed.config["Timeout"]
        self._memory_mb: int = deployed.config["MemorySize"]
        self._runtime: _Runtime | None = None
        self._peak_mb = 0
        self._init_ms: float | None = None
        self._restore_ms: float | None = None

    @property
    def alive(self) -> bool:
        return self._runtime is not None and self._runtime.exited is None

    @property
    def pid(self) -> int:
        return self._runtime.pid if self._runtime else 0

    def invoke(self, invocation: Invocation) -> Outcome:
        """Runs INIT first when that has not been done ahead of requests."""
        cold = not self.ready
        self.invocations += 1
        failed = self.initialize() if cold else None
        record = {"requestId": invocation.request_id, "version": self.deployed.version}
        start = f"START RequestId: {invocation.request_id} Version: {self.deployed.version}"
        self.log.platform("platform.start", record, "INFO", start)
        begun = time.monotonic()
        deadline = begun + self._timeout_s
        if failed and self.restored:
            return replace(failed, restored=False)
        if failed:  # AWS tries INIT once more, now inside the function's own time-out
            failed = self._start(invocation.request_id, deadline, f"{self._timeout_s:.2f}")
        if failed is None:
            failed = self._run(invocation, deadline)
        duration_ms = (time.monotonic() - begun) * 1000
        outcome = Outcome(failed.payload, failed.status, failed.error_type, duration_ms, cold)
        self._report(invocation.request_id, outcome)
        return outcome

    def stop(self) -> None:
        if self._runtime:
            self._runtime.close()

    def initialize(self) -> Outcome | None:
        """INIT before the first invocation. Returns what went wrong, None if it is ready."""
        begun = time.monotonic()
        self.ready = True
        if self.restored:
            return self._restore(begun)
        phase = {"initializationType": self.kind, "phase": "init"}
        version = {"functionName": self.deployed.function, "functionVersion": self.deployed.version}
        self.log.platform("platform.initStart", {**phase, **version}, "DEBUG")
        failed = self._start("", begun + self._init_timeout_s, f"{self._init_timeout_s:.2f}")
        self._init_ms = (time.monotonic() - begun) * 1000
        report: dict[str, Any] = {
            **phase,
            "status": failed.status if failed else "success",
        }
        report["metrics"] = {"durationMs": round(self._init_ms, 3)}
        if failed:
            report["errorType"] = failed.error_type
        text = (
            f"INIT_REPORT Init Duration: {self._init_ms:.2f} ms\tPhase: init\tStatus: {report['status']}"
            if failed
            else ""
        )
        self.log.platform("platform.initReport", report, "WARN" if failed else "DEBUG", text)
        return failed

    def _restore(self, begun: float) -> Outcome | None:
        version = {"functionName": self.deployed.function, "functionVersion": self.deployed.version}
        self.log.platform("platform.restoreStart", version, "DEBUG")
        failed = self._start("", begun + self._init_timeout_s, f"{self._init_timeout_s:.2f}")
        self._restore_ms = (time.monotonic() - begun) * 1000
        report: dict[str, Any] = {"status": failed.status if failed else "success"}
        if failed:
            report["errorType"] = failed.error_type
        report["metrics"] = {"durationMs": round(self._restore_ms, 3)}
        text = (
            f"RESTORE_REPORT Restore Duration: {self._restore_ms:.2f} ms\tStatus: {report['status']}" if failed else ""
        )
        self.log.platform("platform.restoreReport", report, "WARN" if failed else "DEBUG", text)
        return failed

    def _start(self, request_id: str, deadline: float, limit: str) -> Outcome | None:
        self.stop()
        if self._image.architecture not in self.deployed.config["Architectures"]:
            entry = "RequestId: {} Error: fork/exec /lambda-entrypoint.sh: exec format error"
            return _failed("Runtime.InvalidEntrypoint", entry.format(request_id))
        self._runtime = runtime = _Runtime(self._launcher, self._image, self._environ, self.log)
        api = runtime.api
        return self._wait(lambda: api.ready or api.posted is not None, request_id, deadline, limit)

    def _run(self, invocation: Invocation, deadline: float) -> Outcome:
        assert self._runtime is not None
        api = self._runtime.api
        api.hand_out(invocation)
        limit = f"{self._timeout_s:.2f}"
        failed = self._wait(lambda: api.posted is not None, invocation.request_id, deadline, limit)
        if failed:
            return failed
        assert api.posted is not None
        return Outcome(api.posted.payload)

    def _wait(self, done: Callable[[], bool], request_id: str, deadline: float, limit: str) -> Outcome | None:
        """Waits for the runtime. Kills it when it is too slow or too big. Returns what went wrong."""
        runtime = self._runtime
        assert runtime is not None
        api = runtime.api
        failed: Outcome | None = None
        killed_for_memory = False
        with api.changed:
            while not done() and runtime.exited is None:
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    failed = _failed(
                        "Sandbox.Timedout",
                        f"RequestId: {request_id} Error: Task timed out after {limit} seconds",
                        "timeout",
                    )
                    break
                if api.changed.wait(min(left_s, WATCH_S)):
                    continue
                resident = resident_kb(runtime.pid) // 1024
                self._peak_mb = max(self._peak_mb, resident)
                if resident > self._memory_mb:
                    killed_for_memory = True
                    runtime.process.kill()
                    api.changed.wait_for(lambda: runtime.exited is not None, 5)
        posted = api.posted
        self._peak_mb = max(self._peak_mb, resident_kb(runtime.pid, peak=True) // 1024)
        if failed is None and posted and posted.kind == "error":
            failed = Outcome(posted.payload, "error", posted.error_type or "Unhandled")
            runtime.drain()
            return failed
        if failed is None and posted and posted.kind in ("init_error", "restore_error"):
            failed = Outcome(posted.payload, "error", posted.error_type)
        elif failed is None and posted and posted.kind == "too_large":
            message = f"Response payload size exceeded maximum allowed payload size ({MAX_RESPONSE_BYTES} bytes)."
            failed = _failed("Function.ResponseSizeTooLarge", message, "error")
        elif failed is None and not done():
            failed = _failed(
                "Runtime.ExitError", f"RequestId: {request_id} Error: {_exit(runtime.exited, killed_for_memory)}"
            )
        if failed:
            self.stop()  # its last words are read before the report is written
            if failed.status in ("timeout", "failure"):
                self.log.line(json.loads(failed.payload)["errorMessage"] if not self.log.json else "")
        else:
            runtime.drain()
        return failed

    def _report(self, request_id: str, outcome: Outcome) -> None:
        ok = outcome.status == "success"
        init_ms, self._init_ms = self._init_ms, None
        init_billed_ms = init_ms or 0 if self.kind == ON_DEMAND else 0  # of the others it is billed by itself
        billed_ms = int(outcome.duration_ms + init_billed_ms) + 1
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
        error = {} if ok else {"errorType": outcome.error_type}
        done: dict[str, Any] = {"requestId": request_id, "status": outcome.status, **error}
        level = "INFO" if ok else "WARN"
        done_metrics = {"durationMs": metrics["durationMs"], "producedBytes": len(outcome.payload)}
        end = f"END RequestId: {request_id}"
        self.log.platform("platform.runtimeDone", {**done, "metrics": done_metrics}, "DEBUG" if ok else "WARN", end)
        self.log.platform("platform.report", {**done, "metrics": metrics}, level, text)


class _Runtime:
    """The process, its Runtime API and its output."""

    def __init__(self, launcher: Launcher, image: Image, environ: Mapping[str, str], log: LogStream) -> None:
        self.api = RuntimeApi()
        self.exited: int | None = None
        self._log = log
        self._output, write_end = os.pipe()
        self._reading = threading.Lock()
        self._closing = threading.Lock()
        self._closed = False
        self._partial = b""
        try:
            with open(write_end, "wb") as output:
                self.process = launcher.start(image, dict(environ), self.api.address, output)
        except OSError:
            self.api.close()
            os.close(self._output)
            raise
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._waiter = threading.Thread(target=self._wait, daemon=True)
        self._reader.start()
        self._waiter.start()

    @property
    def pid(self) -> int:
        """The process whose memory counts."""
        return int(getattr(self.process, "runtime_pid", self.process.pid))

    def drain(self) -> None:
        """Writes everything the process has written so far to the log."""
        with self._reading:
            while self._output >= 0 and _readable(self._output, 0) and self._pump():
                pass

    def close(self) -> None:
        """Ends the process and all it started. Once: later its number may be another process's."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
        self.process.kill()
        self._waiter.join(10)
        self.drain()
        self.api.close()
        with self._reading:
            if self._output >= 0:
                os.close(self._output)
                self._output = -1

    def _wait(self) -> None:
        code = self.process.wait()
        with self.api.changed:
            self.exited = code
            self.api.changed.notify_all()

    def _read(self) -> None:
        """Reads what comes between invocations too, so that the pipe never fills up."""
        while self._output >= 0:
            _readable(self._output, 200)
            with self._reading:
                if self._output < 0 or not _readable(self._output, 0):
                    continue
                if not self._pump():
                    return

    def _pump(self) -> bool:
        data = os.read(self._output, 65536)
        *lines, self._partial = (self._partial + data).split(b"\n")
        if not data and self._partial:
            lines, self._partial = [self._partial], b""
        for line in lines:
            self._log.line(line.decode(errors="replace"))
        return bool(data)


def _readable(descriptor: int, timeout_ms: int) -> bool:
    poll = select.poll()
    with contextlib.suppress(ValueError, OSError):  # closed meanwhile
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(timeout_ms))
    return False


def resident_kb(pid: int, *, peak: bool = False) -> int:
    """Resident memory of a process in kB, 0 when it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM" if peak else "VmRSS"))
        return int(line.split()[1])
    except (OSError, StopIteration):
        if Path("/proc/self/status").exists():
            return 0
        found = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=False)
        return int(found.stdout or 0)


def _failed(error_type: str, message: str, status: str = "failure") -> Outcome:
    return Outcome(json.dumps({"errorType": error_type, "errorMessage": message}).encode(), status, error_type)


def _exit(code: int | None, out_of_memory: bool) -> str:
    if out_of_memory or code == -9:
        return "Runtime exited with error: signal: killed"
    if code is not None and code < 0:
        return f"Runtime exited with error: signal: {'segmentation fault' if code == -11 else -code}"
    return f"Runtime exited with error: exit status {code}" if code else "Runtime exited without providing a reason"
