"""What the service wrote, Lambda's JSON log records, as lines for a person."""

from __future__ import annotations

import json
{% if cookiecutter.cold_starts == 'snapstart' %}
import time
{% endif %}
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from deploy.aws import Aws
from deploy.config import Service

# For FilterLogEvents: every record that may be an error, and few others.
MAYBE_ERRORS = "?ERROR ?CRITICAL ?FATAL ?error ?failure ?timeout"
ERROR_LEVELS = {"ERROR", "CRITICAL", "FATAL"}
{% if cookiecutter.cold_starts == 'snapstart' %}
JUST_NOW_S = 60  # this machine's clock and AWS's may differ
{% endif %}


@dataclass(frozen=True)
class Line:
    text: str
    is_error: bool


def written(service: Service, aws: Aws, since_s: float, *, errors_only: bool) -> Iterator[tuple[str, Line]]:
    """The lines since then (Unix time), oldest first, each with its id; some seconds after they were written."""
    pages = aws.logs.get_paginator("filter_log_events").paginate(
        logGroupName=service.log_group,
        startTime=int(since_s * 1000),
        filterPattern=MAYBE_ERRORS if errors_only else "",
    )
    for page in pages:
        for event in page["events"]:
            line = readable(event["message"])
            if line and (line.is_error or not errors_only):
                yield event["eventId"], line


{% if cookiecutter.cold_starts == 'snapstart' %}
def recent_errors(service: Service, aws: Aws, since_s: float) -> str:
    """For a snapshot that could not be taken or restored, of which Lambda says little: the lines that explain it."""
    errors = written(service, aws, min(since_s, time.time() - JUST_NOW_S), errors_only=True)
    return "\n".join(line.text for _, line in errors)


{% endif %}
def readable(message: str) -> Line | None:
    """One record as text (more lines when it carries a traceback); None for Lambda's uneventful bookkeeping."""
    try:
        record = json.loads(message)
    except ValueError:
        record = None
    if not isinstance(record, dict):  # something printed
        return Line(message.rstrip(), is_error=False) if message.strip() else None
    if str(record.get("type", "")).startswith("platform."):
        return _platform(record["type"], str(record.get("time", "")), record.get("record", {}))
    level = str(record.get("level") or record.get("log_level") or "INFO")
    text = f"{_when(record.get('timestamp', ''))} {level:5} {_what(record)}".rstrip()
    if record.get("errorType"):
        trace = "".join(record.get("stackTrace") or []).rstrip()
        text += (f"\n{trace}" if trace else "") + f"\n{record['errorType']}: {record.get('errorMessage', '')}"
    return Line(text.replace("\n", "\n    "), is_error=level in ERROR_LEVELS)


def _what(record: dict[str, Any]) -> str:
    if "status" in record and "duration_ms" in record:
        cold = "  (cold start)" if record.get("cold_start") else ""
        return f"{record.get('message', '')} {record['status']} {record['duration_ms']} ms{cold}"
    return str(record.get("message", "")).rstrip()


def _platform(kind: str, when: str, record: dict[str, Any]) -> Line | None:
    status = record.get("status", "success")
{% if cookiecutter.cold_starts == 'snapstart' %}
    reports = ("platform.report", "platform.initReport", "platform.restoreReport")
    if kind not in reports or status == "success":
{% else %}
    if kind not in ("platform.report", "platform.initReport") or status == "success":
{% endif %}
        return None
    metrics = record.get("metrics", {})
    reason = f": {record['errorType']}" if record.get("errorType") else ""
    memory = f", {metrics['maxMemoryUsedMB']} of {metrics['memorySizeMB']} MB" if "maxMemoryUsedMB" in metrics else ""
    ran = f" after {metrics['durationMs']:,.0f} ms" if "durationMs" in metrics else ""
    return Line(f"{_when(when)} ERROR Lambda: {status}{reason}{ran}{memory}", is_error=True)


def _when(timestamp: object) -> str:
    return str(timestamp)[:19].replace("T", " ")
