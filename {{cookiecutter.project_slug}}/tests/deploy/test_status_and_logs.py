"""What is live, and what it wrote, in words."""

import json
import time

import pytest

from deploy.log_lines import readable
from tests.deploy.cloud import Cloud

ACCESS = {
    "timestamp": "2026-01-02T03:04:05Z",
    "level": "INFO",
    "message": "GET /items/1",
    "logger": "app.access",
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


def write_logs(cloud: Cloud, *records: object) -> None:
    logs, group = cloud.client("logs"), f"/aws/lambda/{cloud.name}"
    logs.create_log_stream(logGroupName=group, logStreamName="stream")
    now = int(time.time() * 1000)
    events = [{"timestamp": now + at, "message": json.dumps(record)} for at, record in enumerate(records)]
    logs.put_log_events(logGroupName=group, logStreamName="stream", logEvents=events)


def test_records_become_lines() -> None:
    assert readable(json.dumps(ACCESS)).text == "2026-01-02 03:04:05 INFO  GET /items/1 200 12.3 ms  (cold start)"  # type: ignore[union-attr]
    failure, timeout = readable(json.dumps(FAILURE)), readable(json.dumps(TIMEOUT))
    assert failure
    assert failure.is_error
    assert failure.text.splitlines()[-1] == "    KeyError: 'id'"
    assert timeout
    assert timeout.text == "2026-01-02 03:04:07 ERROR Lambda: timeout after 3,000 ms, 97 of 512 MB"
    assert readable('{"type": "platform.start", "record": {}}') is None
    printed = readable("printed\n")
    assert printed
    assert (printed.text, printed.is_error) == ("printed", False)


def test_status_of_what_is_live(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    cloud.run("--image", cloud.push_image())
    write_logs(cloud, ACCESS, FAILURE)
    capsys.readouterr()
    assert cloud.run("status") == 0
    shown = capsys.readouterr().out
    assert "version 1" in shown
    assert f"{cloud.name}-5xx" in shown
    assert "KeyError: 'id'" in shown
    assert "https://" in shown
    assert cloud.mutations == []


def test_status_before_the_first_deploy(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    assert cloud.run("status") == 1
    assert "Deploy it: ./deploy.sh" in capsys.readouterr().err


def test_logs_and_errors_only(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    cloud.run("--image", cloud.push_image())
    write_logs(cloud, ACCESS, FAILURE, TIMEOUT)
    capsys.readouterr()
    assert cloud.run("logs") == 0
    assert "GET /items/1 200" in capsys.readouterr().out
    assert cloud.run("logs", "--errors") == 0
    shown = capsys.readouterr().out
    assert "GET /items" not in shown
    assert "timeout after 3,000 ms" in shown


def test_logs_before_the_first_deploy(cloud: Cloud) -> None:
    assert cloud.run("logs") == 1
