"""What API Gateway is told, and what happens when something of it is missing."""

import json

import pytest

from tests.scene import NAME, Scene

pytestmark = pytest.mark.answers(endpoint="http_api")


@pytest.fixture
def deployed(scene: Scene) -> Scene:
    assert scene.release("old").code == 0
    return scene


def api(scene: Scene) -> str:
    (found,) = scene.aws.client("apigatewayv2").get_apis()["Items"]
    assert found["Name"] == NAME
    return str(found["ApiId"])


def test_every_request_goes_to_what_is_live(deployed: Scene) -> None:
    gateway = deployed.aws.client("apigatewayv2")
    (integration,) = gateway.get_integrations(ApiId=api(deployed))["Items"]
    (route,) = gateway.get_routes(ApiId=api(deployed))["Items"]
    assert integration["IntegrationUri"].endswith(f":function:{NAME}:live")
    assert integration["PayloadFormatVersion"] == "2.0"
    assert (route["RouteKey"], route["Target"]) == ("$default", f"integrations/{integration['IntegrationId']}")


def test_only_this_api_may_call_the_function(deployed: Scene) -> None:
    policy = json.loads(deployed.aws.client("lambda").get_policy(FunctionName=NAME, Qualifier="live")["Policy"])
    (statement,) = policy["Statement"]
    assert statement["Principal"] == {"Service": "apigateway.amazonaws.com"}
    source = f"arn:aws:execute-api:us-east-1:123456789012:{api(deployed)}/*/$default"
    assert statement["Condition"] == {"ArnLike": {"AWS:SourceArn": source}}


def test_access_logs_expire(deployed: Scene) -> None:
    stage = deployed.aws.client("apigatewayv2").get_stage(ApiId=api(deployed), StageName="$default")
    groups = deployed.aws.client("logs").describe_log_groups(logGroupNamePrefix="/aws/apigateway/")["logGroups"]
    assert [(group["logGroupName"], group["retentionInDays"]) for group in groups] == [(f"/aws/apigateway/{NAME}", 30)]
    assert stage["AccessLogSettings"]["DestinationArn"] + ":*" == groups[0]["arn"]
    assert json.loads(stage["AccessLogSettings"]["Format"])["status"] == "$context.status"


def test_the_5xx_alarm_watches_this_api(deployed: Scene) -> None:
    (alarm,) = deployed.aws.client("cloudwatch").describe_alarms(AlarmNames=[f"{NAME}-5xx"])["MetricAlarms"]
    assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/ApiGateway", "5xx")
    assert alarm["Dimensions"] == [{"Name": "ApiId", "Value": api(deployed)}]


def test_throttling_is_changed_in_place(deployed: Scene) -> None:
    deployed.configure("throttling = { burst = 50 }")
    assert deployed.release("old").code == 0
    assert deployed.mutations == ["UpdateStage"]
    stage = deployed.aws.client("apigatewayv2").get_stage(ApiId=api(deployed), StageName="$default")
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
def test_what_is_missing_or_changed_is_mended(deployed: Scene, missing: str, mended: list[str]) -> None:
    gateway, on = deployed.aws.client("apigatewayv2"), {"ApiId": api(deployed)}
    if missing == "route":
        gateway.delete_route(**on, RouteId=gateway.get_routes(**on)["Items"][0]["RouteId"])
    elif missing == "stage":
        gateway.delete_stage(**on, StageName="$default")
    elif missing == "integration":
        integration = gateway.get_integrations(**on)["Items"][0]["IntegrationId"]
        gateway.update_integration(**on, IntegrationId=integration, PayloadFormatVersion="1.0")
    else:
        deployed.aws.client("lambda").remove_permission(FunctionName=NAME, Qualifier="live", StatementId="http-api")
    assert deployed.release("old").code == 0
    assert deployed.mutations == mended
    assert deployed.release("old").code == 0
    assert deployed.mutations == []


def test_an_api_that_was_made_twice_is_left_once(scene: Scene) -> None:
    scene.aws.fail("apigateway:POST", "reset_after")  # the answer to CreateApi is lost, and botocore asks again
    assert scene.release("old").code == 0
    assert scene.calls.count("CreateApi") == 2
    assert scene.release("old").code == 0
    assert scene.mutations == []
    assert api(scene)


def test_somebody_elses_api_of_the_same_name_is_left_alone(scene: Scene) -> None:
    gateway = scene.aws.client("apigatewayv2")
    other = gateway.create_api(Name=NAME, ProtocolType="HTTP")["ApiId"]
    assert scene.release("old").code == 0
    assert len(gateway.get_apis()["Items"]) == 2
    assert gateway.get_routes(ApiId=other)["Items"] == []
