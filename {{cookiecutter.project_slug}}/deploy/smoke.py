"""Calls a version by its number before it gets any traffic, with the event that a real GET would bring."""

import base64
import json
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

{% if cookiecutter.cold_starts == 'snapstart' %}
from botocore.exceptions import ClientError

from deploy.aws import Aws, error_code
{% else %}
from deploy.aws import Aws
{% endif %}
from deploy.config import Service
from deploy.log_lines import readable
from deploy.problem import Problem


@dataclass(frozen=True)
class ColdStart:
    """The first call of a new execution environment: its wall time, and what Lambda itself measured."""

    wall_ms: float
    init_ms: float | None
    memory_used_mb: int | None
{% if cookiecutter.cold_starts == 'snapstart' %}
    restore_ms: float | None = None
{% endif %}


def smoke_test(service: Service, aws: Aws, version: str) -> ColdStart:
    """Calls `smoke_path` on this version; raises Problem, with the log lines that explain it, unless it answers 200."""
    started = time.perf_counter()
{% if cookiecutter.cold_starts == 'snapstart' %}
    try:
        answer = aws.invoker.invoke(
            FunctionName=service.full_name,
            Qualifier=version,
            LogType="Tail",
            Payload=json.dumps(http_event(service.smoke_path)),
        )
    except ClientError as error:
        if not error_code(error).startswith("SnapStart"):
            raise
        reason = error.response["Error"].get("Message", "no reason given")
        raise Problem(
            f"Version {version} failed its smoke test, GET {service.smoke_path}: it could not be restored from its "
            f"snapshot: {reason}",
            "What was live still is. See ./deploy.sh logs --errors, correct it and deploy again.",
        ) from None
{% else %}
    answer = aws.invoker.invoke(
        FunctionName=service.full_name,
        Qualifier=version,
        LogType="Tail",
        Payload=json.dumps(http_event(service.smoke_path)),
    )
{% endif %}
    payload = answer["Payload"].read()
    wall_ms = (time.perf_counter() - started) * 1000
    tail = _whole_lines(base64.b64decode(answer.get("LogResult", "")).decode(errors="replace"))
    try:
        said = json.loads(payload)
    except ValueError:
        said = {}
    status = said.get("statusCode") if isinstance(said, dict) else None
    if "FunctionError" in answer or status != 200:
        what = said.get("errorMessage", "it crashed") if "FunctionError" in answer else f"it answered {status}"
        lines = dict.fromkeys(line.text for record in tail if (line := readable(record)))  # each once
        raise Problem(
            f"Version {version} failed its smoke test, GET {service.smoke_path}: {what}",
            "What was live still is. Correct the error and deploy again.",
            details="\n".join(lines),
        )
    report = next((found for record in tail if (found := _report(record))), {})
{% if cookiecutter.cold_starts == 'snapstart' %}
    durations = report.get("initDurationMs"), report.get("maxMemoryUsedMB"), report.get("restoreDurationMs")
    return ColdStart(wall_ms, *durations)
{% else %}
    return ColdStart(wall_ms, report.get("initDurationMs"), report.get("maxMemoryUsedMB"))
{% endif %}


def _whole_lines(tail: str) -> list[str]:
    """Lambda gives the last 4 KB, so the first of its lines may have lost its beginning."""
    lines = tail.splitlines()
    return lines[1:] if lines and len(tail) > 4000 and not lines[0].startswith("{") else lines


def _report(record: str) -> dict[str, Any]:
    try:
        event = json.loads(record)
        return dict(event["record"]["metrics"]) if event.get("type") == "platform.report" else {}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}  # a line of the service's own


def http_event(path: str) -> dict[str, Any]:
{% if cookiecutter.endpoint == 'function_url' %}
    """A payload 2.0 event (docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html)."""
{% else %}
    """A payload 2.0 event (the API Gateway guide: http-api-develop-integrations-lambda.html)."""
{% endif %}
    now = datetime.now(UTC)
    host = "smoke-test.internal"
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"host": host, "accept": "*/*", "user-agent": "deploy.sh", "x-forwarded-proto": "https"},
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "smoke-test",
            "domainName": host,
            "domainPrefix": "smoke-test",
            "http": {
                "method": "GET",
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": "deploy.sh",
            },
            "requestId": str(uuid.uuid4()),
            "routeKey": "$default",
            "stage": "$default",
            "time": now.strftime("%d/%b/%Y:%H:%M:%S +0000"),
            "timeEpoch": int(now.timestamp() * 1000),
        },
        "isBase64Encoded": False,
    }
