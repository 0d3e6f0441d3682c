"""Create an HTTP API for the sample function."""

from typing import Any

from tests.support.sample_function import ECHO, NAME, SampleFunction


def create_http_api(
    sample: SampleFunction,
    source: str = ECHO,
    settings: dict[str, Any] | None = None,
    allowed_route: str = "*/$default",
) -> tuple[str, str]:
    """Create the function with the alias `live` and an API that invokes it. Return the ID and the endpoint of the API.

    `settings` are parameters of CreateStage. The function's policy allows the stage and route `allowed_route`, or
    nothing if it is empty.
    """
    sample.create(source)
    sample.client.create_alias(FunctionName=NAME, Name="live", FunctionVersion=sample.publish())
    gateway = sample.aws.client("apigatewayv2")
    api = gateway.create_api(Name=NAME, ProtocolType="HTTP")
    api_id = str(api["ApiId"])
    function_arn = f"arn:aws:lambda:us-east-1:{sample.aws.account}:function:{NAME}:live"
    integration = gateway.create_integration(
        ApiId=api_id, IntegrationType="AWS_PROXY", IntegrationUri=function_arn, PayloadFormatVersion="2.0"
    )
    gateway.create_route(ApiId=api_id, RouteKey="$default", Target=f"integrations/{integration['IntegrationId']}")
    gateway.create_stage(ApiId=api_id, StageName="$default", AutoDeploy=True, **(settings or {}))
    if allowed_route:
        source_arn = f"execute-api:us-east-1:{sample.aws.account}:{api_id}/{allowed_route}"
        sample.allow_service("api", "apigateway.amazonaws.com", source_arn)
    sample.wait_until_ready()
    return api_id, str(api["ApiEndpoint"])
