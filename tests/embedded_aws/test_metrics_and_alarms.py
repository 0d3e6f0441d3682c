"""Test the metrics that Lambda and function URLs publish, and the state of alarms on them."""

import time

import pytest

from tests.support.sample_function import NAME, SampleFunction, metric_total, raises_client_error, send_request

RESPONDS = """
def handler(event, context):
    if event.get("rawPath") == "/fail":
        return {"statusCode": 500}
    if event.get("rawPath") == "/missing":
        return {"statusCode": 404}
    if event.get("raise"):
        raise ValueError("no")
    return {"statusCode": 200}
"""


def test_invocations_errors_throttles_and_duration_are_counted(sample: SampleFunction) -> None:
    sample.create(RESPONDS)
    started = time.perf_counter()
    sample.invoke()
    sample.invoke({"raise": True})
    elapsed_ms = (time.perf_counter() - started) * 1000
    sample.client.put_function_concurrency(FunctionName=NAME, ReservedConcurrentExecutions=0)
    with raises_client_error("TooManyRequestsException", "Rate Exceeded"):
        sample.invoke()
    assert metric_total(sample, "Invocations", FunctionName=NAME) == 2
    assert metric_total(sample, "Errors", FunctionName=NAME) == 1
    assert metric_total(sample, "Throttles", FunctionName=NAME) == 1
    assert 0 < metric_total(sample, "Duration", "Maximum", FunctionName=NAME) <= elapsed_ms
    assert metric_total(sample, "Errors") == 0  # CloudWatch does not aggregate metrics without dimensions


def test_metrics_of_a_url_are_counted_by_function_and_by_alias(sample: SampleFunction) -> None:
    url = sample.public_url(RESPONDS)
    for path in ("/", "/fail", "/fail", "/missing"):
        send_request(url, "GET", path)
    for dimensions in ({"FunctionName": NAME}, {"FunctionName": NAME, "Resource": f"{NAME}:live"}):
        assert metric_total(sample, "UrlRequestCount", **dimensions) == 4
        assert metric_total(sample, "Url4xxCount", **dimensions) == 1
        assert metric_total(sample, "Url5xxCount", **dimensions) == 2
        assert (
            metric_total(sample, "Errors", **dimensions) == 0
        )  # Lambda does not count a response with status 500 as an error
        assert metric_total(sample, "UrlRequestLatency", "Maximum", **dimensions) > 0
    assert metric_total(sample, "Url5xxCount", Resource=f"{NAME}:live") == 0


def test_an_alarm_fires_when_its_threshold_is_reached(sample: SampleFunction) -> None:
    url = sample.public_url(RESPONDS)
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
    states = {alarm["AlarmName"]: alarm["StateValue"] for alarm in cloudwatch.describe_alarms()["MetricAlarms"]}
    assert states == {"Url5xxCount": "ALARM", "Errors": "OK"}
    sample.aws.clock.advance(120)
    assert not sample.aws.alarm_fires("Url5xxCount")


@pytest.mark.parametrize(
    ("missing_data", "state"), [("missing", "INSUFFICIENT_DATA"), ("notBreaching", "OK"), ("breaching", "ALARM")]
)
def test_missing_data_is_treated_as_the_alarm_defines(sample: SampleFunction, missing_data: str, state: str) -> None:
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
        TreatMissingData=missing_data,
    )
    assert cloudwatch.describe_alarms()["MetricAlarms"][0]["StateValue"] == state
