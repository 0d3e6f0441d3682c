"""Log records of the service and of Lambda become readable lines."""

import json
from typing import Any

import pytest

from deploy.logs import format_record

ACCESS = {
    "timestamp": "2026-01-02T03:04:05Z",
    "level": "INFO",
    "message": "GET /items/1",
    "logger": "aws_lambda.access",
    "requestId": "abc",
    "method": "GET",
    "route": "/items/{id}",
    "status": 200,
    "duration_ms": 12.3,
    "cold_start": True,
}
FAILURE = {
    "timestamp": "2026-01-02T03:04:06Z",
    "level": "ERROR",
    "message": "Unhandled exception",
    "errorType": "KeyError",
    "errorMessage": "'id'",
    "stackTrace": ['  File "app/routers/items.py", line 9, in read\n    return items[id]\n'],
}
TIMEOUT = {
    "time": "2026-01-02T03:04:07.123Z",
    "type": "platform.report",
    "record": {"status": "timeout", "metrics": {"durationMs": 3000.0, "memorySizeMB": 512, "maxMemoryUsedMB": 97}},
}


def test_records_become_readable_lines() -> None:
    access, failure, timeout = (format_record(json.dumps(record)) for record in (ACCESS, FAILURE, TIMEOUT))
    assert access
    assert access.text == "2026-01-02 03:04:05 INFO  GET /items/1 200 12.3 ms  (cold start)"
    assert failure
    assert failure.is_error
    assert failure.text.splitlines()[-1] == "    KeyError: 'id'"
    assert timeout
    assert timeout.text == "2026-01-02 03:04:07 ERROR Lambda: timeout after 3,000 ms, 97 of 512 MB"
    assert format_record('{"type": "platform.start", "record": {}}') is None
    printed = format_record("printed\n")
    assert printed
    assert (printed.text, printed.is_error) == ("printed", False)


@pytest.mark.parametrize(
    ("record", "text", "is_error"),
    [
        ({"message": "paid", "order_id": 7, "user": "ada b"}, 'INFO  paid order_id=7 user="ada b"', False),
        (
            {"event": "failed", "level": "error", "order_id": 7, "exception": "Traceback:\nKeyError: 'id'"},
            "ERROR failed order_id=7\n    Traceback:\n    KeyError: 'id'",
            True,
        ),
        ({"msg": "stopped", "severity": "err"}, "ERR   stopped", True),
        ({"ok": True}, '{"ok": true}', False),
        ({"text": "lost", "record": {"level": {"name": "ERROR"}}}, None, True),
    ],
)
def test_records_of_other_logging_libraries_keep_their_content(
    record: dict[str, Any], text: str | None, is_error: bool
) -> None:
    message = json.dumps(record)
    line = format_record(message)
    assert line
    assert (line.text.strip(), line.is_error) == (text or message, is_error)


def test_a_malformed_platform_record_is_ignored() -> None:
    assert format_record('{"type": "platform.report", "record": "text"}') is None
