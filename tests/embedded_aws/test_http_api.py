"""Test HTTP APIs of API Gateway: events, errors, limits, throttling, metrics and access logs."""

import json

import pytest

from embedded_aws import Delays, EmbeddedAws
from tests.support.http_api import create_http_api
from tests.support.sample_function import NAME, SampleFunction, raises_client_error, send_request


def test_the_event_has_format_2_0_and_a_decoded_path(sample: SampleFunction) -> None:
    api_id, endpoint = create_http_api(sample)
    status, body, headers = send_request(
        endpoint, "GET", "/caf%C3%A9/a%2Fb%253F?x=1&x=%202", headers={"Cookie": "a=1; b=2"}
    )
    event = json.loads(body)
    assert (status, event["version"], event["routeKey"]) == (200, "2.0", "$default")
    assert event["rawPath"] == event["requestContext"]["http"]["path"] == "/café/a/b%3F"
    assert event["rawQueryString"] == "x=1&x=%202"
    assert event["cookies"] == ["a=1", "b=2"]
    assert event["requestContext"]["apiId"] == api_id
    assert event["requestContext"]["accountId"] == sample.aws.account
    assert event["requestContext"]["stage"] == "$default"
    assert headers["apigw-requestid"] == event["requestContext"]["requestId"]


@pytest.mark.parametrize("allowed_route", ["", "prod/$default", "*/GET/items"])
def test_an_api_without_a_permission_for_its_route_responds_with_500(
    sample: SampleFunction, allowed_route: str
) -> None:
    _, endpoint = create_http_api(sample, allowed_route=allowed_route)
    status, body, _ = send_request(endpoint)
    assert (status, body) == (500, b'{"message":"Internal Server Error"}')


@pytest.mark.parametrize(
    "source",
    [
        "raise RuntimeError",
        "return {'statusCode': 'many'}",
        "return {'statusCode': 200, 'headers': {'x-name': 'a\\r\\nb: c'}}",
    ],
)
def test_an_exception_or_an_invalid_result_is_a_500(sample: SampleFunction, source: str) -> None:
    _, endpoint = create_http_api(sample, f"def handler(event, context):\n    {source}\n")
    status, body, _ = send_request(endpoint)
    assert (status, body) == (500, b'{"message":"Internal Server Error"}')


def test_more_than_10240_bytes_of_request_line_and_headers_are_a_431(sample: SampleFunction) -> None:
    _, endpoint = create_http_api(sample)
    assert send_request(endpoint, headers={"X-Long": "x" * 9_000})[0] == 200
    status, body, _ = send_request(endpoint, headers={"X-Long": "x" * 10_240})
    assert (status, json.loads(body)) == (431, {"message": "Request Header Fields Too Large"})
    assert send_request(endpoint, path="/?" + "x" * 10_240)[0] == 431


def test_a_body_over_10_mb_is_a_413_and_over_6_mb_a_500(sample: SampleFunction) -> None:
    _, endpoint = create_http_api(sample, "def handler(event, context):\n    return {'statusCode': 200}\n")
    text = {"Content-Type": "text/plain"}
    assert send_request(endpoint, "POST", "/", b"x" * 5_000_000, text)[0] == 200
    assert send_request(endpoint, "POST", "/", b"x" * 7_000_000, text)[0] == 500
    assert send_request(endpoint, "POST", "/", b"x" * 10_500_000, text)[0] == 413


def test_the_integration_time_out_is_30_seconds() -> None:
    assert Delays().integration_timeout_s == 30


def test_a_function_that_exceeds_the_integration_time_out_is_a_503(
    sample: SampleFunction, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = sample.aws.lambda_state()
    monkeypatch.setattr(state, "delays", Delays(integration_timeout_s=0.2))
    _, endpoint = create_http_api(sample, "import time\n\ndef handler(event, context):\n    time.sleep(60)\n")
    status, body, _ = send_request(endpoint)
    assert (status, body) == (503, b'{"message":"Service Unavailable"}')


def test_requests_over_the_throttling_limit_are_a_429(sample: SampleFunction) -> None:
    limits = {"DefaultRouteSettings": {"ThrottlingRateLimit": 1.0, "ThrottlingBurstLimit": 2}}
    api_id, endpoint = create_http_api(sample, settings=limits)
    assert [send_request(endpoint)[0] for _ in range(3)] == [200, 200, 429]
    sample.aws.clock.advance(1)
    assert [send_request(endpoint)[0] for _ in range(2)] == [200, 429]
    limits["DefaultRouteSettings"]["ThrottlingBurstLimit"] = 4
    sample.aws.client("apigatewayv2").update_stage(ApiId=api_id, StageName="$default", **limits)
    assert [send_request(endpoint)[0] for _ in range(5)] == [200, 200, 200, 200, 429]


def test_a_throttled_function_is_a_503(sample: SampleFunction) -> None:
    _, endpoint = create_http_api(sample)
    sample.client.put_function_concurrency(FunctionName=NAME, ReservedConcurrentExecutions=0)
    assert send_request(endpoint)[0] == 503


@pytest.mark.parametrize("missing", ["stage", "route"])
def test_a_missing_stage_or_route_is_a_404(sample: SampleFunction, missing: str) -> None:
    api_id, endpoint = create_http_api(sample)
    gateway = sample.aws.client("apigatewayv2")
    if missing == "stage":
        gateway.delete_stage(ApiId=api_id, StageName="$default")
    else:
        gateway.delete_route(ApiId=api_id, RouteId=gateway.get_routes(ApiId=api_id)["Items"][0]["RouteId"])
    assert send_request(endpoint)[:2] == (404, b'{"message":"Not Found"}')


def test_a_result_with_an_invalid_status_code_is_a_500(sample: SampleFunction) -> None:
    _, endpoint = create_http_api(sample, "def handler(event, context):\n    return {'statusCode': 'good'}\n")
    assert send_request(endpoint)[:2] == (500, b'{"message":"Internal Server Error"}')


def test_a_request_for_another_host_is_forbidden(sample: SampleFunction) -> None:
    _, endpoint = create_http_api(sample)
    assert send_request(endpoint, headers={"Host": "api.example.com"})[:2] == (403, b'{"message":"Forbidden"}')


def test_metrics_are_counted_for_each_api(sample: SampleFunction) -> None:
    api_id, endpoint = create_http_api(
        sample, "def handler(event, context):\n    return {'statusCode': int(event['rawPath'][1:])}\n"
    )
    for status in (200, 404, 500, 502):
        assert send_request(endpoint, path=f"/{status}")[0] == status
    cloudwatch, now = sample.aws.client("cloudwatch"), sample.aws.clock.time()

    def total(metric: str) -> float:
        (point,) = cloudwatch.get_metric_statistics(
            Namespace="AWS/ApiGateway",
            MetricName=metric,
            Dimensions=[{"Name": "ApiId", "Value": api_id}],
            StartTime=now - 300,
            EndTime=now + 300,
            Period=3600,
            Statistics=["Sum"],
        )["Datapoints"]
        return float(point["Sum"])

    assert [total(metric) for metric in ("Count", "4xx", "5xx")] == [4, 1, 2]


def test_access_logs_have_the_format_of_the_stage(sample: SampleFunction) -> None:
    logs = sample.aws.client("logs")
    logs.create_log_group(logGroupName="/access")
    arn = f"arn:aws:logs:us-east-1:{sample.aws.account}:log-group:/access"
    log_format = "$context.httpMethod $context.path $context.status $context.integrationErrorMessage $context.other"
    _, endpoint = create_http_api(sample, settings={"AccessLogSettings": {"DestinationArn": arn, "Format": log_format}})
    send_request(endpoint, "PUT", "/a?b=c")
    assert sample.aws.log_messages("/access") == ["PUT /a 200 - -"]


def test_an_existing_resource_is_a_conflict_and_a_deleted_api_does_not_exist(sample: SampleFunction) -> None:
    api_id, endpoint = create_http_api(sample)
    gateway = sample.aws.client("apigatewayv2")
    with raises_client_error("ConflictException"):
        gateway.create_stage(ApiId=api_id, StageName="$default")
    with raises_client_error("ConflictException"):
        gateway.create_route(ApiId=api_id, RouteKey="$default")
    gateway.delete_api(ApiId=api_id)
    with raises_client_error("NotFoundException"):
        gateway.delete_api(ApiId=api_id)
    with pytest.raises(OSError, match="refused"):
        send_request(endpoint)


def test_the_iam_actions_of_api_gateway_are_http_methods(aws: EmbeddedAws) -> None:
    aws.deny("apigateway:POST")
    with raises_client_error("AccessDeniedException", "not authorized to perform: apigateway:POST"):
        aws.client("apigatewayv2").create_api(Name=NAME, ProtocolType="HTTP")
