"""The smoke test: a new version must answer before it gets any traffic."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from deploy.errors import (
    ACCESS_DENIED,
    EXPIRED_CREDENTIALS,
    DeployError,
    error_code,
    missing_package_advice,
    rejected_host_advice,
)
from deploy.invoke import Invocation, invoke
from deploy.logs import recent_errors
from deploy.stage import Stage

HINT = "No traffic was moved. Fix the error and deploy again."
OTHER_PATH = "No traffic was moved. Set smoke_path in deploy.toml to a path that returns 200 without credentials."


@dataclass(frozen=True)
class ColdStart:
    """The first call of a version: its duration as seen from here, and what Lambda reported about it."""

    duration_ms: float
    report: dict[str, Any]


def smoke_test(stage: Stage, version: str) -> ColdStart:
    """Call `smoke_path` on a version. Unless the status is 200, raise DeployError with the log lines that explain why."""
    failed = f"Version {version} failed its smoke test, GET {stage.config.smoke_path}:"
    started = time.perf_counter()
    event = http_event(stage.config.smoke_path, stage.config.smoke_host)
    result = call_version(stage, f"{stage.name}:{version}", event, failed)
    duration_ms = (time.perf_counter() - started) * 1000
    status = result.response.get("statusCode") if isinstance(result.response, dict) else None
    if result.error or status != 200:
        reason = result.error or f"the response has status {status}"
        hint = HINT
        if advice := missing_package_advice(result.error):
            reason = f"{result.error.splitlines()[0].rstrip('. ')}. {advice}"
        elif isinstance(status, int) and 300 <= status < 500:
            advice = rejected_host_advice(str(result.response.get("body")), stage.config.smoke_host)
            hint = f"No traffic was moved. {advice}" if advice else OTHER_PATH
        raise DeployError(f"{failed} {reason}", hint, details=result.log_text())
    return ColdStart(duration_ms, result.report())


def call_version(stage: Stage, function: str, event: dict[str, Any], failed: str) -> Invocation:
    """Invoke a version that is not live yet. Raise DeployError, starting with `failed`, if Lambda cannot run it."""
    started_s = time.time()
    try:
        return invoke(stage, function, event)
    except ClientError as error:
        if error_code(error) in ACCESS_DENIED | EXPIRED_CREDENTIALS:
            raise
        reason = error.response["Error"].get("Message") or error_code(error)
        details = recent_errors(stage, started_s)
        raise DeployError(f"{failed} Lambda could not run it: {reason}", HINT, details=details) from None


def http_event(path: str, host: str) -> dict[str, Any]:
    """Return the event of a GET request, as the public endpoint sends it (payload format 2.0).

    Source: docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html
    """
    now, agent = datetime.now(UTC), "deploy.sh"
    request = {"method": "GET", "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": agent}
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"host": host, "accept": "*/*", "user-agent": agent, "x-forwarded-proto": "https"},
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "smoke-test",
            "domainName": host,
            "domainPrefix": "smoke-test",
            "http": request,
            "requestId": str(uuid.uuid4()),
            "routeKey": "$default",
            "stage": "$default",
            "time": now.strftime("%d/%b/%Y:%H:%M:%S +0000"),
            "timeEpoch": int(now.timestamp() * 1000),
        },
        "isBase64Encoded": False,
    }
