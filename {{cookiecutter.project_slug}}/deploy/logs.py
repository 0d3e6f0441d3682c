"""The logs of the service: Lambda's JSON records as lines of text."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from deploy.stage import Stage

# Matches every error and few other records.
ERROR_FILTER = "?ERROR ?CRITICAL ?FATAL ?Error ?Critical ?Fatal ?error ?critical ?fatal ?failure ?timeout"
ERROR_LEVELS = {"ERROR", "ERR", "CRITICAL", "FATAL"}
# The keys of logging on Lambda, structlog, python-json-logger and others.
MESSAGE_KEYS = ("message", "event", "msg")
LEVEL_KEYS = ("level", "log_level", "levelname", "severity")
TIME_KEYS = ("timestamp", "time", "asctime")
TRACEBACK_KEYS = ("exception", "exc_info", "exc_text", "stack_info")
FAILURE_KEYS = ("errorType", "errorMessage", "stackTrace", "location")  # of Lambda, for an exception
OTHER_KEYS = ("logger", "requestId", "taskName")  # left out
SHOWN_OR_LEFT_OUT = {*LEVEL_KEYS, *TIME_KEYS, *TRACEBACK_KEYS, *FAILURE_KEYS, *OTHER_KEYS}
ACCESS_KEYS = {"method", "route", "status", "duration_ms", "cold_start"}  # of aws_lambda/access_log.py
REPORTS = {"platform.report", "platform.initReport", "platform.restoreReport"}
CLOCK_DIFFERENCE_S = 60  # how far the clock of this machine may differ from AWS's


@dataclass(frozen=True)
class Line:
    """A log record as text. It has several lines if the record contains a traceback."""

    text: str
    is_error: bool


def read_logs(stage: Stage, since_s: float, *, errors_only: bool = False) -> Iterator[tuple[str, Line]]:
    """Yield the ID and the text of each record since a Unix time, oldest first.

    A record can be read some seconds after it was written.
    """
    pages = (
        stage.client("logs")
        .get_paginator("filter_log_events")
        .paginate(
            logGroupName=stage.config.log_group,
            startTime=int(since_s * 1000),
            filterPattern=ERROR_FILTER if errors_only else "",
        )
    )
    for page in pages:
        for event in page["events"]:
            line = format_record(event["message"])
            if line and (line.is_error or not errors_only):
                yield event["eventId"], line


def recent_errors(stage: Stage, since_s: float) -> str:
    """Return the errors since a Unix time, for a failure that Lambda itself does not explain.

    Return an empty string if the logs cannot be read, so that the failure is reported and not this.
    """
    since_s = min(since_s, time.time() - CLOCK_DIFFERENCE_S)
    with suppress(BotoCoreError, ClientError, ResponseParserError):
        return "\n".join(line.text for _, line in read_logs(stage, since_s, errors_only=True))
    return ""


def format_record(message: str) -> Line | None:
    """Return a log record as text, or None if it is empty or only says that Lambda worked as usual.

    Source: docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-logformat.html
    """
    try:
        record = json.loads(message)
    except ValueError:
        record = None
    if not isinstance(record, dict):  # the output of print()
        return Line(message.rstrip(), is_error=False) if message.strip() else None
    if str(record.get("type", "")).startswith("platform."):
        details = record.get("record")
        return _format_platform_event(record["type"], record.get("time"), details if isinstance(details, dict) else {})
    level = _level(record)
    if not _first(record, MESSAGE_KEYS) and not record.get("errorType"):  # not a log record that we know
        return Line(message.rstrip(), is_error=level in ERROR_LEVELS)
    text = f"{_format_time(_first(record, TIME_KEYS))} {level:5} {_format_message(record)}".rstrip()
    if record.get("errorType"):
        traceback = "".join(record.get("stackTrace") or []).rstrip()
        text += (f"\n{traceback}" if traceback else "") + f"\n{record['errorType']}: {record.get('errorMessage', '')}"
    for traceback in filter(None, map(record.get, TRACEBACK_KEYS)):
        text += f"\n{traceback if isinstance(traceback, str) else json.dumps(traceback)}".rstrip()
    return Line(text.replace("\n", "\n    "), is_error=level in ERROR_LEVELS)


def _level(record: dict[str, Any]) -> str:
    """Return the level in capital letters. Loguru writes it as the name of a level in a record within the record."""
    level = _first(record, LEVEL_KEYS)
    if isinstance(record.get("record"), dict):
        level = level or record["record"].get("level")
    if isinstance(level, dict):
        level = level.get("name")
    return str(level or "INFO").upper()


def _first(record: dict[str, Any], keys: tuple[str, ...]) -> object:
    """Return the value of the first key that has one, or None."""
    return next((record[key] for key in keys if record.get(key)), None)


def _format_message(record: dict[str, Any]) -> str:
    """Return the message with the fields that the service added, or with those of the access log."""
    used = next((key for key in MESSAGE_KEYS if record.get(key)), "")
    message, known = str(record.get(used) or "").rstrip(), SHOWN_OR_LEFT_OUT | {used}
    if "status" in record and "duration_ms" in record:
        cold_start = "  (cold start)" if record.get("cold_start") else ""
        message, known = f"{message} {record['status']} {record['duration_ms']} ms{cold_start}", known | ACCESS_KEYS
    fields = [f"{key}={_field(value)}" for key, value in record.items() if key not in known]
    return " ".join([message, *fields]).rstrip()


def _field(value: object) -> str:
    """Return text without spaces as it is, and any other value as JSON."""
    return value if isinstance(value, str) and value and " " not in value else json.dumps(value, ensure_ascii=False)


def _format_platform_event(event: str, timestamp: object, record: dict[str, Any]) -> Line | None:
    """Return a line if Lambda reports a failure, such as a timeout."""
    status = record.get("status", "success")
    if event not in REPORTS or status == "success":
        return None
    metrics = record.get("metrics", {})
    reason = f": {record['errorType']}" if record.get("errorType") else ""
    duration = f" after {metrics['durationMs']:,.0f} ms" if "durationMs" in metrics else ""
    memory = f", {metrics['maxMemoryUsedMB']} of {metrics['memorySizeMB']} MB" if "maxMemoryUsedMB" in metrics else ""
    return Line(f"{_format_time(timestamp)} ERROR Lambda: {status}{reason}{duration}{memory}", is_error=True)


def _format_time(timestamp: object) -> str:
    return str(timestamp or "")[:19].replace("T", " ")
