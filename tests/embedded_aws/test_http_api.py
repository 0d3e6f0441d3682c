"""Does an HTTP API behave as API Gateway's: its events, its own refusals, limits, throttling, metrics and logs?"""

import json
from collections.abc import Callable
from typing import Any

import pytest

from embedded_aws import Delays, EmbeddedAws
from tests.support.sample_function import ECHO, NAME, SampleFunction, raises_client_error, send_request

Make = Callable[..., tuple[str, str]]


@pytest.fixture
def api(sample: SampleFunction) -> Make:
    """Makes a function with the alias `live` and an API before it. Returns the API's id and endpoint."""

    def make(
        source: str = ECHO, settings: dict[str, Any] | None = None, allowed: str = "*/$default"
    ) -> tuple[str, str]:
        sample.create(source)
        sample.client.create_alias(FunctionName=NAME, Name="live", FunctionVersion=sample.publish())
        gateway = sample.aws.client("apigatewayv2")
        api = gateway.create_api(Name=NAME, ProtocolType="HTTP")
        on = {"ApiId": api["ApiId"]}
        arn = f"arn:aws:lambda:us-east-1:{sample.aws.account}:function:{NAME}:live"
        made = gateway.create_integration(
            **on, IntegrationType="AWS_PROXY", IntegrationUri=arn, PayloadFormatVersion="2.0"
        )
        gateway.create_route(**on, RouteKey="$default", Target=f"integrations/{made['IntegrationId']}")
        gateway.create_stage(**on, StageName="$default", AutoDeploy=True, **(settings or {}))
        if allowed:
            sample.allow_service(
                "api",
                "apigateway.amazonaws.com",
                f"execute-api:us-east-1:{sample.aws.account}:{api['ApiId']}/{allowed}",
            )
        return str(api["ApiId"]), str(api["ApiEndpoint"])

    return make


def test_the_event_is_a_v2_event_with_the_path_decoded(api: Make, sample: SampleFunction) -> None:
    api_id, endpoint = api()
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


@pytest.mark.parametrize("allowed", ["", "prod/$default", "*/GET/items"])
def test_without_a_permission_for_this_api_and_route_it_is_a_500(api: Make, allowed: str) -> None:
    _, endpoint = api(allowed=allowed)
    status, body, _ = send_request(endpoint)
    assert (status, body) == (500, b'{"message":"Internal Server Error"}')


@pytest.mark.parametrize("source", ["raise RuntimeError", "return {'statusCode': 'many'}"])
def test_a_crash_and_an_unreadable_answer_are_a_500(api: Make, source: str) -> None:
    _, endpoint = api(f"def handler(event, context):\n    {source}\n")
    status, body, _ = send_request(endpoint)
    assert (status, body) == (500, b'{"message":"Internal Server Error"}')


def test_request_line_and_headers_have_10240_bytes_together(api: Make) -> None:
    _, endpoint = api()
    assert send_request(endpoint, headers={"X-Long": "x" * 9_000})[0] == 200
    status, body, _ = send_request(endpoint, headers={"X-Long": "x" * 10_240})
    assert (status, json.loads(body)) == (431, {"message": "Request Header Fields Too Large"})
    assert send_request(endpoint, path="/?" + "x" * 10_240)[0] == 431


def test_a_body_has_10_mb_and_the_function_takes_6(api: Make) -> None:
    _, endpoint = api("def handler(event, context):\n    return {'statusCode': 200}\n")
    text = {"Content-Type": "text/plain"}
    assert send_request(endpoint, "POST", "/", b"x" * 5_000_000, text)[0] == 200
    assert send_request(endpoint, "POST", "/", b"x" * 7_000_000, text)[0] == 500
    assert send_request(endpoint, "POST", "/", b"x" * 10_500_000, text)[0] == 413


def test_an_answer_has_30_seconds(sample: SampleFunction) -> None:
    assert Delays().integration_timeout_s == 30


def test_after_that_the_caller_gets_a_503(api: Make, sample: SampleFunction, monkeypatch: pytest.MonkeyPatch) -> None:
    state = sample.aws.lambda_state()
    monkeypatch.setattr(state, "delays", Delays(integration_timeout_s=0.2))
    _, endpoint = api("import time\n\ndef handler(event, context):\n    time.sleep(1)\n")
    status, body, _ = send_request(endpoint)
    assert (status, body) == (503, b'{"message":"Service Unavailable"}')


def test_what_is_over_the_throttle_is_answered_429_until_time_passes(api: Make, sample: SampleFunction) -> None:
    limits = {"DefaultRouteSettings": {"ThrottlingRateLimit": 1.0, "ThrottlingBurstLimit": 2}}
    api_id, endpoint = api(settings=limits)
    assert [send_request(endpoint)[0] for _ in range(3)] == [200, 200, 429]
    sample.aws.clock.advance(1)
    assert [send_request(endpoint)[0] for _ in range(2)] == [200, 429]
    limits["DefaultRouteSettings"]["ThrottlingBurstLimit"] = 4
    sample.aws.client("apigatewayv2").update_stage(ApiId=api_id, StageName="$default", **limits)
    assert [send_request(endpoint)[0] for _ in range(5)] == [200, 200, 200, 200, 429]


def test_a_throttled_function_is_a_503(api: Make, sample: SampleFunction) -> None:
    _, endpoint = api()
    sample.client.put_function_concurrency(FunctionName=NAME, ReservedConcurrentExecutions=0)
    assert send_request(endpoint)[0] == 503


@pytest.mark.parametrize("missing", ["stage", "route"])
def test_without_a_stage_or_a_route_it_is_a_404(api: Make, sample: SampleFunction, missing: str) -> None:
    api_id, endpoint = api()
    gateway = sample.aws.client("apigatewayv2")
    if missing == "stage":
        gateway.delete_stage(ApiId=api_id, StageName="$default")
    else:
        gateway.delete_route(ApiId=api_id, RouteId=gateway.get_routes(ApiId=api_id)["Items"][0]["RouteId"])
    assert send_request(endpoint)[:2] == (404, b'{"message":"Not Found"}')


def test_an_answer_that_is_no_response_is_a_500(api: Make) -> None:
    _, endpoint = api("def handler(event, context):\n    return {'statusCode': 'good'}\n")
    assert send_request(endpoint)[:2] == (500, b'{"message":"Internal Server Error"}')


def test_another_host_is_forbidden(api: Make) -> None:
    _, endpoint = api()
    assert send_request(endpoint, headers={"Host": "api.example.com"})[:2] == (403, b'{"message":"Forbidden"}')


def test_metrics_count_by_api(api: Make, sample: SampleFunction) -> None:
    api_id, endpoint = api("def handler(event, context):\n    return {'statusCode': int(event['rawPath'][1:])}\n")
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


def test_access_logs_are_in_the_stages_own_format(api: Make, sample: SampleFunction) -> None:
    logs = sample.aws.client("logs")
    logs.create_log_group(logGroupName="/access")
    arn = f"arn:aws:logs:us-east-1:{sample.aws.account}:log-group:/access"
    told = "$context.httpMethod $context.path $context.status $context.integrationErrorMessage $context.unheard"
    _, endpoint = api(settings={"AccessLogSettings": {"DestinationArn": arn, "Format": told}})
    send_request(endpoint, "PUT", "/a?b=c")
    assert sample.aws.log_messages("/access") == ["PUT /a 200 - -"]


def test_what_exists_is_not_made_again_and_what_does_not_cannot_be_deleted(api: Make, sample: SampleFunction) -> None:
    api_id, endpoint = api()
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


def test_iam_actions_are_http_methods(aws: EmbeddedAws) -> None:
    aws.deny("apigateway:POST")
    with raises_client_error("AccessDeniedException", "not authorized to perform: apigateway:POST"):
        aws.client("apigatewayv2").create_api(Name=NAME, ProtocolType="HTTP")


def test_a_certificate_is_issued_when_public_dns_has_its_record(aws: EmbeddedAws) -> None:
    acm, name = aws.client("acm"), "api.example.com"
    arn = acm.request_certificate(DomainName=name, ValidationMethod="DNS")["CertificateArn"]
    certificate = acm.describe_certificate(CertificateArn=arn)["Certificate"]
    record = certificate["DomainValidationOptions"][0]["ResourceRecord"]
    route53 = aws.client("route53")
    zone = route53.create_hosted_zone(Name="example.com", CallerReference="one")["HostedZone"]["Id"]
    cname = {"Name": record["Name"], "Type": "CNAME", "TTL": 60, "ResourceRecords": [{"Value": record["Value"]}]}
    changes = {"Changes": [{"Action": "CREATE", "ResourceRecordSet": cname}]}
    route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=changes)
    aws.clock.advance(3600)
    assert acm.describe_certificate(CertificateArn=arn)["Certificate"]["Status"] == "PENDING_VALIDATION"
    aws.dns.delegated.add("example.com")
    assert acm.describe_certificate(CertificateArn=arn)["Certificate"]["Status"] == "ISSUED"


def test_a_domain_takes_an_issued_certificate_for_its_name_and_keeps_it(api: Make, sample: SampleFunction) -> None:
    api_id, endpoint = api("def handler(event, context):\n    return event['requestContext']['domainName']\n")
    gateway, acm, name = sample.aws.client("apigatewayv2"), sample.aws.client("acm"), "api.example.com"
    arn = acm.request_certificate(DomainName=name, ValidationMethod="DNS")["CertificateArn"]
    wanted = [{"CertificateArn": arn, "EndpointType": "REGIONAL", "SecurityPolicy": "TLS_1_2"}]
    with raises_client_error("BadRequestException", "not issued"):
        gateway.create_domain_name(DomainName=name, DomainNameConfigurations=wanted)
    certificate = acm.describe_certificate(CertificateArn=arn)["Certificate"]
    record = certificate["DomainValidationOptions"][0]["ResourceRecord"]
    sample.aws.dns.elsewhere[record["Name"].rstrip("."), "CNAME"] = record["Value"].rstrip(".")
    with raises_client_error("BadRequestException", "does not match"):
        gateway.create_domain_name(DomainName="other.example.com", DomainNameConfigurations=wanted)
    made = gateway.create_domain_name(DomainName=name, DomainNameConfigurations=wanted)["DomainNameConfigurations"][0]
    assert made["ApiGatewayDomainName"].endswith(".execute-api.us-east-1.amazonaws.com")
    assert made["HostedZoneId"]
    assert send_request(endpoint, headers={"Host": name})[0] == 403
    gateway.create_api_mapping(DomainName=name, ApiId=api_id, Stage="$default")
    assert send_request(endpoint, headers={"Host": name})[:2] == (200, name.encode())
    with raises_client_error("BadRequestException", "remove all base path mappings"):
        gateway.delete_api(ApiId=api_id)
    with raises_client_error("ResourceInUseException"):
        acm.delete_certificate(CertificateArn=arn)
    gateway.delete_domain_name(DomainName=name)
    acm.delete_certificate(CertificateArn=arn)
    gateway.delete_api(ApiId=api_id)
