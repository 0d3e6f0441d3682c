"""Does it answer? A new version before it gets any traffic, and the public URL afterwards."""

from __future__ import annotations

import base64
import contextlib
import json
import statistics
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

{% if cookiecutter.endpoint == 'function_url' %}
from botocore.auth import SigV4Auth
{% endif %}
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError, HTTPClientError
from botocore.httpsession import URLLib3Session

{% if cookiecutter.cold_starts == 'snapstart' %}
from deploy.aws import Aws, error_code
from deploy.config import Service
from deploy.log_lines import readable, recent_errors
{% else %}
from deploy.aws import Aws, error_code
from deploy.config import Service
from deploy.log_lines import readable
{% endif %}
from deploy.problem import Problem

WARM_CALLS = 5
ASLEEP = "CodeArtifactUserPendingException"  # of a version that was idle for weeks; the call wakes it (boto/boto3#3788)
{% if cookiecutter.endpoint == 'function_url' %}
NEW_URL_S = 60  # a new URL or permission answers 403 until it is known everywhere
{% else %}
NEW_URL_S = 60  # a new API or permission is answered for by API Gateway itself until it is known everywhere
UNKNOWN_YET = ('{"message":"Not Found"}', '{"message":"Internal Server Error"}')
{% endif %}


@dataclass(frozen=True)
class ColdStart:
    """The first call of a new execution environment: its wall time, and what Lambda reported of it."""

    wall_ms: float
    report: dict[str, Any]


def smoke_test(service: Service, aws: Aws, version: str) -> ColdStart:
    """Calls `smoke_path` on this version by its number, with the event that a real GET would bring.

    Raises Problem, with the log lines that explain it, unless it answers 200.
    """
    failed = f"Version {version} failed its smoke test, GET {service.smoke_path}:"
    started = time.perf_counter()
{% if cookiecutter.cold_starts == 'snapstart' %}
    try:
        said, failure, tail = invoke(aws, f"{service.full_name}:{version}", http_event(service.smoke_path))
    except ClientError as error:
        if not error_code(error).startswith("SnapStart"):
            raise
        raise Problem(
            f"{failed} it could not be restored from its snapshot: {error.response['Error'].get('Message')}",
            "What was live still is. See ./deploy.sh logs --errors, correct it and deploy again.",
            details=recent_errors(service, aws, time.time()),
        ) from None
{% else %}
    said, failure, tail = invoke(aws, f"{service.full_name}:{version}", http_event(service.smoke_path))
{% endif %}
    wall_ms = (time.perf_counter() - started) * 1000
    status = said.get("statusCode") if isinstance(said, dict) else None
    if failure or status != 200:
        lines = dict.fromkeys(line.text for record in tail if (line := readable(record)))  # each once
        raise Problem(
            f"{failed} {failure or f'it answered {status}'}",
            "What was live still is. Correct the error and deploy again.",
            details="\n".join(lines),
        )
    return ColdStart(wall_ms, next((found for record in tail if (found := _report(record))), {}))


def invoke(aws: Aws, function: str, event: dict[str, Any]) -> tuple[Any, str, list[str]]:
    """What it answered, how it failed (empty: it did not), and the last lines of its log (at most 4 KB)."""
    answers: list[Any] = []

    def is_awake() -> bool:
        try:
            answers.append(aws.invoker.invoke(FunctionName=function, LogType="Tail", Payload=json.dumps(event)))
        except ClientError as error:
            if error_code(error) != ASLEEP:
                raise
        return bool(answers)

    aws.wait(f"waking up {function}", is_awake)
    answer = answers[0]
    lines = _whole(base64.b64decode(answer.get("LogResult", "")).decode(errors="replace"))
    try:
        said = json.loads(answer["Payload"].read())
    except ValueError:
        said = {}
    failed = "FunctionError" in answer
    return said, str(said.get("errorMessage") or "it crashed").strip() if failed else "", lines


def _whole(tail: str) -> list[str]:
    """Of a record that has lost its beginning, such as a long traceback, what can still be read."""
    first, *lines = tail.splitlines() or [""]
    if len(tail) < 4000 or first.startswith("{"):
        return [first, *lines]
    end = '{"level": "ERROR", "message": "(the end of a long record)", "stackTrace": ["' + first.partition('", "')[2]
    with contextlib.suppress(ValueError):
        json.loads(end)
        lines.insert(0, end)
    return lines


def _report(record: str) -> dict[str, Any]:
    """What Lambda measured (docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html#platform-report)."""
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


def check_url(service: Service, aws: Aws, url: str, *, is_new: bool) -> tuple[str, float]:
    """GETs `check_path` as a client would: the answer, and the median time of warm calls in ms.

    Raises Problem unless the answer is a 2xx or 3xx.
    """
    session = URLLib3Session(timeout=service.timeout_s + 5)
    target = url.rstrip("/") + service.check_path

    def get() -> tuple[int, str]:
        request = AWSRequest("GET", target)
{% if cookiecutter.endpoint == 'function_url' %}
        if service.auth == "iam":
            SigV4Auth(aws.session.get_credentials(), "lambda", aws.region).add_auth(request)  # type: ignore[arg-type]
{% endif %}
        try:
            response = session.send(request.prepare())
        except HTTPClientError as error:
            return 0, str(error)
        return response.status_code, response.content.decode(errors="replace")

    status, body = get()

    def known() -> bool:
        nonlocal status, body
{% if cookiecutter.endpoint == 'function_url' %}
        if status in (0, 403):
            status, body = get()
        return status not in (0, 403)
{% else %}
        if status == 0 or body in UNKNOWN_YET:
            status, body = get()
        return status != 0 and body not in UNKNOWN_YET
{% endif %}

    with contextlib.suppress(Problem):  # told below, with the answer
        aws.wait(f"making {target} known", known, timeout_s=NEW_URL_S if is_new else 0)
    if not 200 <= status < 400:
        what = f"answered {status}" if status else "does not answer"
        raise Problem(f"{target} {what}: {body[:300]}", "See ./deploy.sh logs --errors")
    times_ms = []
    for _ in range(WARM_CALLS):
        started = time.perf_counter()
        get()
        times_ms.append((time.perf_counter() - started) * 1000)
    return body, statistics.median(times_ms)
