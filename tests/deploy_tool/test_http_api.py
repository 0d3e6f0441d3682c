"""Test the HTTP API: its settings, and what a deploy repairs."""

import json

import pytest

from tests.support.deployed_stage import NAME, DeployedStage

pytestmark = pytest.mark.answers(endpoint="http_api")


@pytest.fixture
def deployed(stage: DeployedStage) -> DeployedStage:
    assert stage.release("old").code == 0
    return stage


def api_id(stage: DeployedStage) -> str:
    (api,) = stage.aws.client("apigatewayv2").get_apis()["Items"]
    assert api["Name"] == NAME
    return str(api["ApiId"])


def test_every_request_goes_to_the_live_version(deployed: DeployedStage) -> None:
    gateway = deployed.aws.client("apigatewayv2")
    (integration,) = gateway.get_integrations(ApiId=api_id(deployed))["Items"]
    (route,) = gateway.get_routes(ApiId=api_id(deployed))["Items"]
    assert integration["IntegrationUri"].endswith(f":function:{NAME}:live")
    assert integration["PayloadFormatVersion"] == "2.0"
    assert (route["RouteKey"], route["Target"]) == ("$default", f"integrations/{integration['IntegrationId']}")


def test_only_this_api_can_call_the_function(deployed: DeployedStage) -> None:
    policy = json.loads(deployed.aws.client("lambda").get_policy(FunctionName=NAME, Qualifier="live")["Policy"])
    (statement,) = policy["Statement"]
    assert statement["Principal"] == {"Service": "apigateway.amazonaws.com"}
    source = f"arn:aws:execute-api:us-east-1:123456789012:{api_id(deployed)}/*/$default"
    assert statement["Condition"] == {"ArnLike": {"AWS:SourceArn": source}}


def test_access_logs_expire(deployed: DeployedStage) -> None:
    api_stage = deployed.aws.client("apigatewayv2").get_stage(ApiId=api_id(deployed), StageName="$default")
    groups = deployed.aws.client("logs").describe_log_groups(logGroupNamePrefix="/aws/apigateway/")["logGroups"]
    assert [(group["logGroupName"], group["retentionInDays"]) for group in groups] == [(f"/aws/apigateway/{NAME}", 30)]
    assert api_stage["AccessLogSettings"]["DestinationArn"] + ":*" == groups[0]["arn"]
    assert json.loads(api_stage["AccessLogSettings"]["Format"])["status"] == "$context.status"


def test_the_alarm_on_server_errors_watches_this_api(deployed: DeployedStage) -> None:
    (alarm,) = deployed.aws.client("cloudwatch").describe_alarms(AlarmNames=[f"{NAME}-5xx"])["MetricAlarms"]
    assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/ApiGateway", "5xx")
    assert alarm["Dimensions"] == [{"Name": "ApiId", "Value": api_id(deployed)}]


def test_throttling_is_updated_in_place(deployed: DeployedStage) -> None:
    deployed.configure("throttling = { burst = 50 }")
    assert deployed.release("old").code == 0
    assert deployed.mutations == ["UpdateStage"]
    api_stage = deployed.aws.client("apigatewayv2").get_stage(ApiId=api_id(deployed), StageName="$default")
    assert api_stage["DefaultRouteSettings"] == {"ThrottlingBurstLimit": 50, "ThrottlingRateLimit": 100.0}


@pytest.mark.parametrize(
    ("part", "repairs"),
    [
        ("route", ["CreateIntegration", "CreateRoute"]),
        ("stage", ["CreateStage"]),
        ("permission", ["AddPermission"]),
        ("integration", ["UpdateIntegration"]),
    ],
)
def test_a_deploy_repairs_a_missing_or_modified_part(deployed: DeployedStage, part: str, repairs: list[str]) -> None:
    gateway, api = deployed.aws.client("apigatewayv2"), {"ApiId": api_id(deployed)}
    if part == "route":
        gateway.delete_route(**api, RouteId=gateway.get_routes(**api)["Items"][0]["RouteId"])
    elif part == "stage":
        gateway.delete_stage(**api, StageName="$default")
    elif part == "integration":
        integration = gateway.get_integrations(**api)["Items"][0]["IntegrationId"]
        gateway.update_integration(**api, IntegrationId=integration, PayloadFormatVersion="1.0")
    else:
        deployed.aws.client("lambda").remove_permission(FunctionName=NAME, Qualifier="live", StatementId="http-api")
    assert deployed.release("old").code == 0
    assert deployed.mutations == repairs
    assert deployed.release("old").code == 0
    assert deployed.mutations == []


def test_a_duplicate_api_is_deleted(stage: DeployedStage) -> None:
    stage.aws.fail("apigateway:POST", "reset_after")  # the response to CreateApi is lost, and botocore repeats the call
    assert stage.release("old").code == 0
    assert stage.calls.count("CreateApi") == 2
    assert stage.release("old").code == 0
    assert stage.mutations == []
    assert api_id(stage)


def test_an_api_of_somebody_else_with_the_same_name_is_not_changed(stage: DeployedStage) -> None:
    gateway = stage.aws.client("apigatewayv2")
    other = gateway.create_api(Name=NAME, ProtocolType="HTTP")["ApiId"]
    assert stage.release("old").code == 0
    assert len(gateway.get_apis()["Items"]) == 2
    assert gateway.get_routes(ApiId=other)["Items"] == []
