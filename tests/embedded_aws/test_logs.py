"""Test which lines CloudWatch Logs and the tail of an invocation contain, in both log formats."""

import json
from typing import Any

from tests.support.sample_function import NAME, SampleFunction

GROUP = f"/aws/lambda/{NAME}"
WRITES_LOGS = """
import logging
log = logging.getLogger()

def handler(event, context):
    print("plain")
    log.info("hello", extra={"colour": "red"})
    log.debug("quiet")
    print('{"level": "DEBUG", "message": "own"}')
    if event.get("raise"):
        raise ValueError("no")
"""


def without_preview_warning(messages: list[str]) -> list[str]:
    """Return the messages without the one that AWS's runtime client adds if this Python is a preview, as 3.15 is."""
    return [message for message in messages if "LAMBDA_WARNING: This is a preview runtime version" not in message]


def parse_records(messages: list[str]) -> list[dict[str, Any]]:
    """Return the messages that are JSON objects."""
    return [json.loads(message) for message in messages if message.startswith("{")]


def test_json_logs_contain_platform_records_and_the_output_of_the_function(sample: SampleFunction) -> None:
    sample.create(WRITES_LOGS)
    result = sample.invoke()
    events = sample.aws.client("logs").filter_log_events(logGroupName=GROUP)["events"]
    messages = [event["message"] for event in events]
    assert messages == result.tail
    assert "plain" in messages
    records = parse_records(without_preview_warning(messages))
    kinds = [record.get("type") or record["message"] for record in records]
    assert kinds == ["platform.start", "hello", "platform.report"]
    start, hello, report = records
    assert hello["requestId"] == start["record"]["requestId"] == report["record"]["requestId"]
    assert (hello["colour"], hello["level"]) == ("red", "INFO")
    assert report["record"]["status"] == "success"
    metrics = report["record"]["metrics"]
    assert set(metrics) == {"durationMs", "billedDurationMs", "memorySizeMB", "maxMemoryUsedMB", "initDurationMs"}
    assert metrics["billedDurationMs"] >= metrics["durationMs"] + metrics["initDurationMs"]
    assert 5 < metrics["maxMemoryUsedMB"] < 100
    stream = events[0]["logStreamName"]
    assert "[$LATEST]" in stream
    assert len(stream) == len("2026/01/01/[$LATEST]") + 32


def test_log_levels_select_the_records(sample: SampleFunction) -> None:
    logging = {"LogFormat": "JSON", "ApplicationLogLevel": "DEBUG", "SystemLogLevel": "DEBUG"}
    sample.create(WRITES_LOGS, LoggingConfig=logging)
    kinds = [record.get("type") or record["message"] for record in parse_records(sample.invoke().tail)]
    assert {"platform.initStart", "platform.initReport", "platform.runtimeDone", "quiet", "own"} <= set(kinds)
    logging |= {"ApplicationLogLevel": "ERROR", "SystemLogLevel": "WARN"}
    sample.client.update_function_configuration(FunctionName=NAME, LoggingConfig=logging)
    sample.wait_until_ready()
    assert sample.invoke().tail == ["plain"]


def test_the_text_format_has_start_end_and_report_lines(sample: SampleFunction) -> None:
    sample.create(WRITES_LOGS, LoggingConfig={"LogFormat": "Text"})
    tail = without_preview_warning(sample.invoke().tail)
    assert tail[0].startswith("START RequestId: ")
    assert tail[-2].startswith("END RequestId: ")
    assert tail[-1].startswith("REPORT RequestId: ")
    assert "Max Memory Used: " in tail[-1]


def test_the_tail_is_the_last_4_kb_of_the_log(sample: SampleFunction) -> None:
    sample.create("def handler(event, context):\n    for number in range(1000):\n        print(f'line {number}')\n")
    tail = sample.invoke().tail
    assert sum(len(line) + 1 for line in tail) == 4096
    assert "line 999" in tail
    assert len(without_preview_warning(sample.aws.log_messages(GROUP))) == 1002


def test_a_function_can_use_another_log_group(sample: SampleFunction) -> None:
    sample.create(WRITES_LOGS, LoggingConfig={"LogFormat": "JSON", "LogGroup": "/other"})
    sample.invoke()
    assert sample.aws.log_messages("/other")
    assert not sample.aws.log_messages(GROUP)


def test_a_role_without_log_permissions_writes_no_logs(sample: SampleFunction) -> None:
    role = sample.role()
    sample.aws.client("iam").delete_role_policy(RoleName=NAME, PolicyName="may")
    sample.create(WRITES_LOGS, Role=role)
    assert "plain" in sample.invoke().tail
    assert not sample.aws.client("logs").describe_log_groups()["logGroups"]


def test_an_uncaught_exception_is_logged_once(sample: SampleFunction) -> None:
    sample.create(WRITES_LOGS)
    errors = [r for r in parse_records(sample.invoke({"raise": True}).tail) if r.get("level") == "ERROR"]
    assert [(error["errorType"], error["errorMessage"]) for error in errors] == [("ValueError", "no")]


def test_a_log_group_that_is_created_again_gets_further_lines(sample: SampleFunction) -> None:
    sample.create(WRITES_LOGS)
    sample.invoke()
    logs = sample.aws.client("logs")
    logs.delete_log_group(logGroupName=GROUP)
    sample.invoke()  # Lambda does not create the group again in the same environment
    logs.create_log_group(logGroupName=GROUP)
    sample.invoke()
    assert sample.aws.log_messages(GROUP).count("plain") == 1
