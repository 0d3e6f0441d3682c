"""What API Gateway is told, and what happens when something of it is missing."""

import json
from typing import Any

import pytest
from botocore.client import BaseClient

from tests.deploy.cloud import Cloud


@pytest.fixture
def image(cloud: Cloud) -> str:
    """Deployed once."""
    image = cloud.push_image()
    assert cloud.run("--image", image) == 0
    return image


def api(cloud: Cloud) -> str:
    (found,) = cloud.client("apigatewayv2").get_apis()["Items"]
    assert found["Name"] == cloud.name
    return str(found["ApiId"])


def throttle(cloud: Cloud, burst: int) -> None:
    file = cloud.project / "deploy.toml"
    file.write_text(file.read_text(encoding="utf-8") + f"[throttling]\nburst = {burst}\n", encoding="utf-8")


def test_every_request_goes_to_what_is_live(cloud: Cloud, image: str) -> None:
    gateway = cloud.client("apigatewayv2")
    (integration,) = gateway.get_integrations(ApiId=api(cloud))["Items"]
    (route,) = gateway.get_routes(ApiId=api(cloud))["Items"]
    assert integration["IntegrationUri"].endswith(f":function:{cloud.name}:live")
    assert integration["PayloadFormatVersion"] == "2.0"
    assert (route["RouteKey"], route["Target"]) == ("$default", f"integrations/{integration['IntegrationId']}")


def test_only_this_api_may_call_the_function(cloud: Cloud, image: str) -> None:
    policy = json.loads(cloud.client("lambda").get_policy(FunctionName=cloud.name, Qualifier="live")["Policy"])
    (statement,) = policy["Statement"]
    assert statement["Principal"] == {"Service": "apigateway.amazonaws.com"}
    source = f"arn:aws:execute-api:{cloud.region}:123456789012:{api(cloud)}/*/$default"
    assert statement["Condition"] == {"ArnLike": {"AWS:SourceArn": source}}


def test_access_logs_expire(cloud: Cloud, image: str) -> None:
    stage = cloud.client("apigatewayv2").get_stage(ApiId=api(cloud), StageName="$default")
    groups = cloud.client("logs").describe_log_groups(logGroupNamePrefix="/aws/apigateway/")["logGroups"]
    assert [(group["logGroupName"], group["retentionInDays"]) for group in groups] == [
        (f"/aws/apigateway/{cloud.name}", 30)
    ]
    assert stage["AccessLogSettings"]["DestinationArn"] + ":*" == groups[0]["arn"]
    assert json.loads(stage["AccessLogSettings"]["Format"])["status"] == "$context.status"


def test_the_5xx_alarm_watches_this_api(cloud: Cloud, image: str) -> None:
    (alarm,) = cloud.client("cloudwatch").describe_alarms(AlarmNames=[f"{cloud.name}-5xx"])["MetricAlarms"]
    assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/ApiGateway", "5xx")
    assert alarm["Dimensions"] == [{"Name": "ApiId", "Value": api(cloud)}]


def test_throttling_is_changed_in_place(cloud: Cloud, image: str) -> None:
    throttle(cloud, 50)
    assert cloud.run("--image", image) == 0
    assert cloud.mutations == ["UpdateStage"]
    stage = cloud.client("apigatewayv2").get_stage(ApiId=api(cloud), StageName="$default")
    assert stage["DefaultRouteSettings"] == {"ThrottlingBurstLimit": 50, "ThrottlingRateLimit": 100.0}


@pytest.mark.parametrize(
    ("missing", "mended"),
    [
        ("route", ["CreateIntegration", "CreateRoute"]),
        ("stage", ["CreateStage"]),
        ("permission", ["AddPermission"]),
        ("integration", ["UpdateIntegration"]),
    ],
)
def test_what_is_missing_or_changed_is_mended(cloud: Cloud, image: str, missing: str, mended: list[str]) -> None:
    gateway, on = cloud.client("apigatewayv2"), {"ApiId": api(cloud)}
    if missing == "route":
        gateway.delete_route(**on, RouteId=gateway.get_routes(**on)["Items"][0]["RouteId"])
    elif missing == "stage":
        gateway.delete_stage(**on, StageName="$default")
    elif missing == "integration":
        integration = gateway.get_integrations(**on)["Items"][0]["IntegrationId"]
        gateway.update_integration(**on, IntegrationId=integration, PayloadFormatVersion="1.0")
    else:
        cloud.client("lambda").remove_permission(FunctionName=cloud.name, Qualifier="live", StatementId="http-api")
    assert cloud.run("--image", image) == 0
    assert cloud.mutations == mended
    assert cloud.run("--image", image) == 0
    assert cloud.mutations == []


def test_an_api_that_was_made_twice_is_left_once(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the answer to CreateApi is lost on its way and the request repeated."""
    call = BaseClient._make_api_call  # type: ignore[attr-defined]

    def repeated(self: BaseClient, operation: str, parameters: Any) -> Any:
        if operation == "CreateApi":
            call(self, operation, parameters)
        return call(self, operation, parameters)

    image = cloud.push_image()
    with monkeypatch.context() as patched:
        patched.setattr(BaseClient, "_make_api_call", repeated)
        assert cloud.run("--image", image) == 0
    assert cloud.run("--image", image) == 0
    assert cloud.mutations == []
    assert api(cloud)


def test_somebody_elses_api_of_the_same_name_is_left_alone(cloud: Cloud) -> None:
    gateway = cloud.client("apigatewayv2")
    other = gateway.create_api(Name=cloud.name, ProtocolType="HTTP")["ApiId"]
    image = cloud.push_image()
    assert cloud.run("--image", image) == 0
    assert len(gateway.get_apis()["Items"]) == 2
    assert gateway.get_routes(ApiId=other)["Items"] == []
