"""Measure INIT and requests of an execution environment, which is a real process.

The function runs on one core, and the emulation of Lambda on the other.
"""

import http.client
import json
import os
import re
import socket
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from benchmarks.pythons import Python
from benchmarks.subjects import Subject
from embedded_aws.ecr.images import Image
from embedded_aws.lambda_.launcher import ProcessGroup, ProcessLauncher
from embedded_aws.lambda_.runtime_api import Invocation, RuntimeApi

CORES = sorted(os.sched_getaffinity(0))
FUNCTION, LAMBDA = {CORES[0]}, {CORES[-1]}
TIMEOUT_S = 60
PROBE_S = 0.01  # the interval at which the Lambda Web Adapter checks the web server
CPU_CLOCK = 2  # MAKE_PROCESS_CPUCLOCK in Linux's posix-timers.h: includes all threads, also those that have ended
OPENED_FILES = Path(__file__).with_name("opened_files.py")
VARIABLES = {
    "AWS_LAMBDA_FUNCTION_NAME": "benchmark",
    "AWS_LAMBDA_FUNCTION_VERSION": "1",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
    "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@dataclass(frozen=True)
class Measurement:
    """INIT is the time from the start of the process until it requests its first event.

    The `cpu` values are the CPU time of all threads of the process.
    """

    init_ms: float
    first_ms: float
    cold_cpu_ms: float  # in INIT and the first request
    warm_p50_ms: float
    warm_p99_ms: float
    warm_cpu_ms: float
    peak_mb: float
    read_mb: float  # during INIT: read calls and pages of mapped files

    @property
    def cold_ms(self) -> float:
        """Return the time of INIT and of the first request together."""
        return self.init_ms + self.first_ms


class SubjectError(Exception):
    """A subject does not start, or does not return the expected response."""


class RuntimeClient:
    """Run a handler with awslambdaric, and send events to it through the Runtime API."""

    def __init__(self) -> None:
        self.api = RuntimeApi()
        self.address = self.api.address
        self.program = ["-m", "awslambdaric"]
        self.close = self.api.close

    def wait_until_ready(self, process: ProcessGroup) -> None:
        """Wait until the process requests its first event."""
        self._wait(lambda: self.api.ready or process.poll() is not None)

    def invoke(self, event: bytes) -> bytes:
        """Send an event to the handler and return its response."""
        deadline_ms = int(time.time() + TIMEOUT_S) * 1000
        arn = "arn:aws:lambda:us-east-1:123456789012:function:benchmark"
        self.api.hand_out(Invocation(str(uuid.uuid4()), event, arn, deadline_ms, "Root=1-0-0"))
        self._wait(lambda: self.api.posted is not None)
        assert self.api.posted is not None
        return self.api.posted.payload

    def _wait(self, condition: Callable[[], bool]) -> None:
        with self.api.changed:
            if not self.api.changed.wait_for(condition, TIMEOUT_S):
                raise SubjectError(f"no response within {TIMEOUT_S} s")


class WebServer:
    """Run uvicorn, and send events to it as HTTP requests, as the Lambda Web Adapter does."""

    address = ""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as unused:
            port = unused.getsockname()[1]
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
        self.program = ["-m", "uvicorn", "--port", str(port), "--no-access-log"]
        self.close = self.connection.close

    def wait_until_ready(self, process: ProcessGroup) -> None:
        """Wait until the web server accepts a connection."""
        while process.poll() is None:
            try:
                return self.connection.connect()
            except ConnectionRefusedError:
                time.sleep(PROBE_S)

    def invoke(self, event: bytes) -> bytes:
        """Send the request of the event and return the response as a handler would return it."""
        request = json.loads(event)
        self.connection.request("GET", request["rawPath"], headers=request["headers"])
        response = self.connection.getresponse()
        return json.dumps({"statusCode": response.status, "body": response.read().decode()}).encode()


class Environments(ProcessLauncher):
    """Start and measure one environment at a time, on one version of Python."""

    def __init__(self, python: Python) -> None:
        super().__init__(python.command, python.runtime_dir)
        self._variables = {**VARIABLES, "AWS_EXECUTION_ENV": f"AWS_Lambda_python{python.version}"}

    def measure(self, subject: Subject, requests: int) -> Measurement:
        """Start the subject, send one first request and a number of warm ones, and return the measurement."""
        with self._run(subject) as environment:
            pid = environment.process.pid
            read_mb = _read_mb(pid)
            first_ms = environment.time_request()
            cold_cpu_ms = cpu_ms(pid)
            warm_ms = [environment.time_request() for _ in range(requests)]
            warm_cpu_ms = (cpu_ms(pid) - cold_cpu_ms) / requests
            p99_ms = statistics.quantiles(warm_ms, n=100, method="inclusive")[98]
            peak_mb = _kilobytes(pid, "status", "VmHWM") / 1024
            p50_ms = statistics.median(warm_ms)
            return Measurement(
                environment.init_ms, first_ms, cold_cpu_ms, p50_ms, p99_ms, warm_cpu_ms, peak_mb, read_mb
            )

    def opened_files(self, subject: Subject) -> set[str]:
        """Return the names of the files that INIT opens."""
        with tempfile.TemporaryFile("w+") as names:
            program = [str(OPENED_FILES), str(names.fileno())]
            with self._run(subject, program, (names.fileno(),)):
                names.seek(0)
                return set(names.read().split("\n")) - {""}

    def time_imports(self, subject: Subject) -> tuple[float, str]:
        """Run INIT and one request. Return their time in ms, and the output of Python's option `-X importtime`."""
        with self._run(subject, ["-X", "importtime"]) as environment:
            total_ms = environment.init_ms + environment.time_request()
            environment.output.seek(0)
            return total_ms, environment.output.read().decode(errors="replace")

    @contextmanager
    def _run(
        self, subject: Subject, prefix: list[str] | None = None, descriptors: tuple[int, ...] = ()
    ) -> Iterator["_Environment"]:
        os.sched_setaffinity(0, LAMBDA)  # threads and processes inherit the core of the thread that starts them
        runtime = WebServer() if subject.is_web_server else RuntimeClient()
        with tempfile.TemporaryFile() as output:
            program = [*(prefix or []), *runtime.program]
            image = Image("", "", subject.command, subject.root)
            os.sched_setaffinity(0, FUNCTION)
            started = time.perf_counter()
            process = self._start(
                program, image, {**self._variables, **subject.environ}, runtime.address, output, descriptors
            )
            os.sched_setaffinity(0, LAMBDA)
            try:
                runtime.wait_until_ready(process)
                yield _Environment(process, runtime, subject.event, (time.perf_counter() - started) * 1000, output)
            except (OSError, SubjectError) as error:
                output.seek(0)
                name = f"{subject.name} on Python {subject.python.version}"
                raise SubjectError(f"{name}: {error}\n{output.read()[-2000:].decode()}") from error
            finally:
                process.kill()
                process.wait()
                runtime.close()
                os.sched_setaffinity(0, CORES)


@dataclass(frozen=True)
class _Environment:
    """An environment after INIT. `output` is the file that its process writes to."""

    process: ProcessGroup
    runtime: RuntimeClient | WebServer
    event: bytes
    init_ms: float
    output: IO[bytes]

    def time_request(self) -> float:
        """Send the event and return the time until the response. Raise SubjectError if it is not the expected one."""
        started = time.perf_counter()
        payload = self.runtime.invoke(self.event)
        ms = (time.perf_counter() - started) * 1000
        response = json.loads(payload)
        if response.get("statusCode") != 200 or json.loads(response["body"]) != {"ok": True}:
            raise SubjectError(f'the response is {payload!r} instead of {{"ok": true}}')
        return ms


def cpu_ms(pid: int) -> float:
    """Return the CPU time of a process in milliseconds."""
    return time.clock_gettime_ns((~pid << 3) | CPU_CLOCK) / 1e6


def _read_mb(pid: int) -> float:
    read = int(re.findall(r"rchar: (\d+)", Path(f"/proc/{pid}/io").read_text())[0]) / 2**20
    return read + _kilobytes(pid, "status", "RssFile") / 1024


def _kilobytes(pid: int, file: str, name: str) -> int:
    return int(re.findall(rf"{name}:\s+(\d+) kB", Path(f"/proc/{pid}/{file}").read_text())[0])
