"""The smoke test: a new version must answer before it gets any traffic."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from deploy.errors import ACCESS_DENIED, DeployError, error_code
from deploy.invoke import invoke
from deploy.logs import recent_errors
from deploy.stage import Stage

HINT = "No traffic was moved. Fix the error and deploy again."


@dataclass(frozen=True)
class ColdStart:
    """The first call of a version: its duration as seen from here, and what Lambda reported about it."""

    duration_ms: float
    report: dict[str, Any]


def smoke_test(stage: Stage, version: str) -> ColdStart:
    """Call `smoke_path` on a version. Unless the status is 200, raise DeployError with the log lines that explain why."""
    failed = f"Version {version} failed its smoke test, GET {stage.config.smoke_path}:"
    started, started_s = time.perf_counter(), time.time()
    try:
        result = invoke(stage, f"{stage.name}:{version}", http_event(stage.config.smoke_path))
    except ClientError as error:
        if error_code(error) in ACCESS_DENIED:
            raise
        reason = error.response["Error"].get("Message") or error_code(error)
        details = recent_errors(stage, started_s)
        raise DeployError(f"{failed} Lambda could not run it: {reason}", HINT, details=details) from None
    duration_ms = (time.perf_counter() - started) * 1000
    status = result.response.get("statusCode") if isinstance(result.response, dict) else None
    if result.error or status != 200:
        reason = result.error or f"the response has status {status}"
        raise DeployError(f"{failed} {reason}", HINT, details=result.log_text())
    return ColdStart(duration_ms, result.report())


def http_event(path: str) -> dict[str, Any]:
    """Return the event of a GET request, as the public endpoint sends it (payload format 2.0).

    Source: docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html
    """
    now, host, agent = datetime.now(UTC), "smoke-test.internal", "deploy.sh"
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
