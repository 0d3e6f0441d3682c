"""Do logs, metrics and alarms show what happened, in the places and forms where AWS shows it?"""

import json
from typing import Any

import pytest

from tests.support.sample_function import NAME, SampleFunction, metric_total, send_request

GROUP = f"/aws/lambda/{NAME}"
SPEAKS = """
import logging
log = logging.getLogger()

def handler(event, context):
    print("plain")
    log.info("hello", extra={"colour": "red"})
    log.debug("quiet")
    print('{"level": "DEBUG", "message": "own"}')
    if event.get("rawPath") == "/fail":
        return {"statusCode": 500}
    if event.get("rawPath") == "/missing":
        return {"statusCode": 404}
    if event.get("raise"):
        raise ValueError("no")
    return {"statusCode": 200}
"""


def records(messages: list[str]) -> list[dict[str, Any]]:
    return [json.loads(message) for message in messages if message.startswith("{")]


def test_json_logs_hold_the_platforms_events_and_the_functions_lines(sample: SampleFunction) -> None:
    sample.create(SPEAKS)
    answer = sample.invoke()
    events = sample.aws.client("logs").filter_log_events(logGroupName=GROUP)["events"]
    messages = [event["message"] for event in events]
    assert messages == answer.tail
    assert "plain" in messages
    kinds = [record.get("type") or record["message"] for record in records(messages)]
    assert kinds == ["platform.start", "hello", "platform.report"]
    start, hello, report = records(messages)
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


def test_levels_are_obeyed(sample: SampleFunction) -> None:
    logging = {"LogFormat": "JSON", "ApplicationLogLevel": "DEBUG", "SystemLogLevel": "DEBUG"}
    sample.create(SPEAKS, LoggingConfig=logging)
    kinds = [record.get("type") or record["message"] for record in records(sample.invoke().tail)]
    assert {"platform.initStart", "platform.initReport", "platform.runtimeDone", "quiet", "own"} <= set(kinds)
    logging |= {"ApplicationLogLevel": "ERROR", "SystemLogLevel": "WARN"}
    sample.client.update_function_configuration(FunctionName=NAME, LoggingConfig=logging)
    sample.wait_until_ready()
    assert sample.invoke().tail == ["plain"]


def test_the_text_format(sample: SampleFunction) -> None:
    sample.create(SPEAKS, LoggingConfig={"LogFormat": "Text"})
    tail = sample.invoke().tail
    assert tail[0].startswith("START RequestId: ")
    assert tail[-2].startswith("END RequestId: ")
    assert tail[-1].startswith("REPORT RequestId: ")
    assert "Max Memory Used: " in tail[-1]


def test_the_tail_is_the_last_four_kilobytes(sample: SampleFunction) -> None:
    sample.create("def handler(event, context):\n    for number in range(1000):\n        print(f'line {number}')\n")
    tail = sample.invoke().tail
    assert sum(len(line) + 1 for line in tail) == 4096
    assert "line 999" in tail
    assert len(sample.aws.log_messages(GROUP)) == 1002


def test_a_log_group_of_another_name(sample: SampleFunction) -> None:
    sample.create(SPEAKS, LoggingConfig={"LogFormat": "JSON", "LogGroup": "/other"})
    sample.invoke()
    assert sample.aws.log_messages("/other")
    assert not sample.aws.log_messages(GROUP)


def test_a_role_that_may_not_log_leaves_no_logs(sample: SampleFunction) -> None:
    role = sample.role()
    sample.aws.client("iam").delete_role_policy(RoleName=NAME, PolicyName="may")
    sample.create(SPEAKS, Role=role)
    assert "plain" in sample.invoke().tail
    assert not sample.aws.client("logs").describe_log_groups()["logGroups"]


def test_an_uncaught_exception_is_logged_once(sample: SampleFunction) -> None:
    sample.create(SPEAKS)
    errors = [r for r in records(sample.invoke({"raise": True}).tail) if r.get("level") == "ERROR"]
    assert [(error["errorType"], error["errorMessage"]) for error in errors] == [("ValueError", "no")]


def test_metrics_of_invocations(sample: SampleFunction) -> None:
    sample.create(SPEAKS)
    sample.invoke()
    sample.invoke({"raise": True})
    sample.client.put_function_concurrency(FunctionName=NAME, ReservedConcurrentExecutions=0)
    with pytest.raises(Exception, match="Rate Exceeded"):
        sample.invoke()
    assert metric_total(sample, "Invocations", FunctionName=NAME) == 2
    assert metric_total(sample, "Errors", FunctionName=NAME) == 1
    assert metric_total(sample, "Throttles", FunctionName=NAME) == 1
    assert 0 < metric_total(sample, "Duration", "Maximum", FunctionName=NAME) < 1000
    assert metric_total(sample, "Errors") == 0  # no such dimensions: CloudWatch adds nothing up


def test_metrics_of_the_url_are_by_function_and_by_alias(sample: SampleFunction) -> None:
    url = sample.public_url(SPEAKS)
    for path in ("/", "/fail", "/fail", "/missing"):
        send_request(url, "GET", path)
    for dimensions in ({"FunctionName": NAME}, {"FunctionName": NAME, "Resource": f"{NAME}:live"}):
        assert metric_total(sample, "UrlRequestCount", **dimensions) == 4
        assert metric_total(sample, "Url4xxCount", **dimensions) == 1
        assert metric_total(sample, "Url5xxCount", **dimensions) == 2
        assert metric_total(sample, "Errors", **dimensions) == 0  # a 500 from the application is no error to Lambda
        assert metric_total(sample, "UrlRequestLatency", "Maximum", **dimensions) > 0
    assert metric_total(sample, "Url5xxCount", Resource=f"{NAME}:live") == 0


def test_an_alarm_fires_by_its_own_definition(sample: SampleFunction) -> None:
    url = sample.public_url(SPEAKS)
    cloudwatch = sample.aws.client("cloudwatch")
    definition = {
        "Namespace": "AWS/Lambda",
        "Dimensions": [{"Name": "FunctionName", "Value": NAME}, {"Name": "Resource", "Value": f"{NAME}:live"}],
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 1,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "Statistic": "Sum",
        "TreatMissingData": "notBreaching",
    }
    for metric in ("Errors", "Url5xxCount"):
        cloudwatch.put_metric_alarm(AlarmName=metric, MetricName=metric, **definition)
    send_request(url)
    assert not sample.aws.alarm_fires("Url5xxCount")
    send_request(url, "GET", "/fail")
    assert sample.aws.alarm_fires("Url5xxCount")
    assert not sample.aws.alarm_fires("Errors")
    states = {a["AlarmName"]: a["StateValue"] for a in cloudwatch.describe_alarms()["MetricAlarms"]}
    assert states == {"Url5xxCount": "ALARM", "Errors": "OK"}
    sample.aws.clock.advance(120)
    assert not sample.aws.alarm_fires("Url5xxCount")


@pytest.mark.parametrize(
    ("treat", "state"), [("missing", "INSUFFICIENT_DATA"), ("notBreaching", "OK"), ("breaching", "ALARM")]
)
def test_missing_data_is_treated_as_the_alarm_says(sample: SampleFunction, treat: str, state: str) -> None:
    cloudwatch = sample.aws.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="a",
        Namespace="AWS/Lambda",
        MetricName="Errors",
        Period=60,
        EvaluationPeriods=3,
        DatapointsToAlarm=2,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
        Statistic="Sum",
        TreatMissingData=treat,
    )
    assert cloudwatch.describe_alarms()["MetricAlarms"][0]["StateValue"] == state
