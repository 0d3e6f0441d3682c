"""The HTTP API of API Gateway: a public HTTPS address whose only route leads to the alias."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any

from deploy.errors import suppress_errors
from deploy.iam import Statement, allow, allow_linked_role, tag_condition
from deploy.resource import Endpoint, Outputs, Phase, Prices
from deploy.resources.function import ALIAS
from deploy.resources.log_group import LogGroup
from deploy.stage import Stage
from deploy.state import Reference, State

if TYPE_CHECKING:
    from deploy.release import Live

DEFAULT = "$default"  # the stage of the API that adds nothing to the path, and the route that matches every request
STATEMENT_ID = "http-api"
ACCESS_LOG_FIELDS = {
    "requestId": "requestId",
    "requestTime": "requestTime",
    "ip": "identity.sourceIp",
    "method": "httpMethod",
    "path": "path",
    "status": "status",
    "responseLength": "responseLength",
    "responseLatency": "responseLatency",
    "error": "integrationErrorMessage",
}
# What API Gateway itself answers until a new API or permission is known everywhere.
PROPAGATION_BODIES = ('{"message":"Not Found"}', '{"message":"Internal Server Error"}')
# API Gateway sets up the access log with the permissions of the caller
# (docs.aws.amazon.com/apigateway/latest/developerguide/http-api-logging.html).
LOG_DELIVERY_ACTIONS = """
    CreateLogDelivery DeleteLogDelivery DescribeResourcePolicies GetLogDelivery ListLogDeliveries PutResourcePolicy
    UpdateLogDelivery
"""


def server_error_metric(stage: Stage) -> State:
    """Return the metric that counts responses with status 5xx."""
    dimensions = [{"Name": "ApiId", "Value": Reference("http_api.id")}]
    return {"Namespace": "AWS/ApiGateway", "MetricName": "5xx", "Dimensions": dimensions}


def gateway_arn(stage: Stage, path: str) -> str:
    """Return the ARN of a resource in API Gateway, such as /apis/a1b2c3. It contains no account."""
    return stage.arn("apigateway", path, account=False)


class AccessLogGroup(LogGroup):
    """The log group of the API. It also contains the requests that never reach the function."""

    phase = Phase.AFTER_RELEASE
    log_kb_per_request = 0.4

    @property
    def name(self) -> str:
        return f"/aws/apigateway/{self.stage.name}"


class HttpApi(Endpoint):
    """The API with its integration, route, stage and permission. After an interrupted deploy, some of them may be missing."""

    kind = "HTTP API"
    has_tags = True

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._apis: list[State] | None = None
        self._lock = Lock()

    def find(self) -> list[State]:
        """Return the APIs that this tool created for the stage, oldest first; the oldest one is used.

        There may be several because their names are not unique: a repeated request creates another API with the same
        name. The domain, which is in the tags of the API, reads them at the same time, so the result is kept.
        """
        with self._lock:
            if self._apis is None:
                named = [
                    api for api in self.stage.list_all("apigatewayv2", "get_apis", "Items") if api["Name"] == self.name
                ]
                created = [api for api in named if self.stage.tags.items() <= api.get("Tags", {}).items()]
                self._apis = sorted(created, key=lambda api: (api["CreatedDate"], api["ApiId"]))
            return self._apis

    def forget(self) -> None:
        """Read the APIs again when they are needed next. Call this after a change of the API or of its tags."""
        self._apis = None

    def desired(self) -> State:
        throttling = self.config.throttling
        return {
            "copies": 1,
            "integration": {
                "IntegrationType": "AWS_PROXY",
                "IntegrationUri": self._alias_arn,
                "PayloadFormatVersion": "2.0",
            },
            "stage": {
                "AutoDeploy": True,
                "DefaultRouteSettings": {
                    "ThrottlingRateLimit": float(throttling.requests_per_second),
                    "ThrottlingBurstLimit": throttling.burst,
                },
                "AccessLogSettings": {
                    "DestinationArn": AccessLogGroup(self.stage).arn,
                    "Format": json.dumps({key: f"$context.{value}" for key, value in ACCESS_LOG_FIELDS.items()}),
                },
            },
            "permission": "for this API only",
        }

    def read(self) -> State | None:
        apis = self.find()
        if not apis:
            return None
        api_id = apis[0]["ApiId"]
        return {
            "copies": len(apis),
            "integration": self._read_integration(api_id),
            "stage": self._read_stage(api_id),
            "permission": self._read_permission(api_id),
            "tags": apis[0]["Tags"],
            "api": apis[0],
        }

    def outputs(self, state: State | None) -> Outputs:
        return _outputs(state["api"]) if state else {}

    def _integration_id(self, api_id: str) -> str:
        """Return the ID of the integration that the route leads to, or an empty string if the route is missing."""
        routes = self.stage.client("apigatewayv2").get_routes(ApiId=api_id)["Items"]
        targets = [route.get("Target", "") for route in routes if route["RouteKey"] == DEFAULT]
        return targets[0].removeprefix("integrations/") if targets else ""

    def _read_integration(self, api_id: str) -> State | None:
        if integration_id := self._integration_id(api_id):
            client = self.stage.client("apigatewayv2")
            return {**client.get_integration(ApiId=api_id, IntegrationId=integration_id)}
        return None

    def _read_stage(self, api_id: str) -> State | None:
        with suppress_errors("NotFoundException"):
            stage: State = {**self.stage.client("apigatewayv2").get_stage(ApiId=api_id, StageName=DEFAULT)}
            settings = stage.get("DefaultRouteSettings", {})
            stage["DefaultRouteSettings"] = {key: settings[key] for key in settings if key.startswith("Throttling")}
            return stage
        return None

    def _read_permission(self, api_id: str) -> str:
        """Return the desired text if only this API may call the alias, or "modified", or an empty string if it may not.

        Without the condition, any API of any AWS account could call the function.
        """
        expected = {
            "Sid": STATEMENT_ID,
            "Effect": "Allow",
            "Principal": {"Service": "apigateway.amazonaws.com"},
            "Action": "lambda:InvokeFunction",
            "Resource": self._alias_arn,
            "Condition": {"ArnLike": {"AWS:SourceArn": self._source_arn(api_id)}},
        }
        with suppress_errors("ResourceNotFoundException"):
            policy = json.loads(self.stage.client("lambda").get_policy(**self._alias)["Policy"])
            existing = [statement for statement in policy["Statement"] if statement["Sid"] == STATEMENT_ID]
            return "for this API only" if existing == [expected] else "modified" if existing else ""
        return ""

    @property
    def _alias(self) -> dict[str, Any]:
        return {"FunctionName": self.name, "Qualifier": ALIAS}

    @property
    def _alias_arn(self) -> str:
        return self.stage.arn("lambda", f"function:{self.name}:{ALIAS}")

    def _source_arn(self, api_id: str) -> str:
        return self.stage.arn("execute-api", f"{api_id}/*/{DEFAULT}")

    def create(self, desired: State) -> Outputs:
        client = self.stage.client("apigatewayv2")
        api = client.create_api(Name=self.name, ProtocolType="HTTP", Tags=self.stage.all_tags)
        self.forget()
        self._apis = self.find() or [{**api}]  # a repeated request may have created two, or none is listed yet
        return self.update(desired)

    def update(self, changed: State) -> Outputs:
        client, (api, *copies) = self.stage.client("apigatewayv2"), self.find()
        api_id = api["ApiId"]
        if "copies" in changed:
            self._delete(copies)
        if integration := changed.get("integration"):
            if integration_id := self._integration_id(api_id):
                client.update_integration(ApiId=api_id, IntegrationId=integration_id, **integration)
            else:
                integration_id = client.create_integration(ApiId=api_id, **integration)["IntegrationId"]
                client.create_route(ApiId=api_id, RouteKey=DEFAULT, Target=f"integrations/{integration_id}")
        if stage := changed.get("stage"):
            put_stage = client.update_stage if self._read_stage(api_id) else client.create_stage
            put_stage(ApiId=api_id, StageName=DEFAULT, **stage)
        if "permission" in changed:
            self._set_permission(api_id)
        return _outputs(api)

    def _set_permission(self, api_id: str) -> None:
        if self._read_permission(api_id):
            self.stage.client("lambda").remove_permission(**self._alias, StatementId=STATEMENT_ID)
        self.stage.client("lambda").add_permission(
            **self._alias,
            StatementId=STATEMENT_ID,
            Action="lambda:InvokeFunction",
            Principal="apigateway.amazonaws.com",
            SourceArn=self._source_arn(api_id),
        )

    def delete(self) -> None:
        self._delete(self.find())

    def _delete(self, apis: list[State]) -> None:
        for api in apis:
            self.stage.client("apigatewayv2").delete_api(ApiId=api["ApiId"])
        self.forget()

    def add_tags(self, tags: Mapping[str, str]) -> None:
        self.stage.client("apigatewayv2").tag_resource(ResourceArn=self._arn, Tags=tags)
        self.forget()

    def remove_tags(self, keys: Sequence[str]) -> None:
        self.stage.client("apigatewayv2").untag_resource(ResourceArn=self._arn, TagKeys=keys)
        self.forget()

    @property
    def _arn(self) -> str:
        return gateway_arn(self.stage, f"/apis/{self.find()[0]['ApiId']}")

    def tag_permissions(self) -> list[Statement]:
        return [allow("apigateway", "DELETE", gateway_arn(self.stage, "/tags/*"))]

    def is_propagating(self, status: int, body: str) -> bool:
        return body in PROPAGATION_BODIES

    def deploy_permissions(self) -> list[Statement]:
        """Return statements that tags restrict to this stage, because API Gateway chooses the IDs.

        A deploy also deletes surplus copies of the API. The parts of an API have no tags.
        """
        stage, function = self.stage, self.stage.arn("lambda", f"function:{self.name}")
        parts = [gateway_arn(stage, f"/apis/*/{part}") for part in ("integrations*", "routes", "stages*")]
        apis, each_api = gateway_arn(stage, "/apis"), gateway_arn(stage, "/apis/*")
        linked_role = "role/aws-service-role/ops.apigateway.amazonaws.com/*"
        return [
            allow("lambda", "AddPermission GetPolicy RemovePermission", function, f"{function}:*"),
            allow("apigateway", "GET", apis, each_api),
            allow("apigateway", "POST", apis, when=tag_condition("Request", stage.tags)),
            allow("apigateway", "PATCH POST", *parts),
            allow("apigateway", "DELETE", each_api, when=tag_condition("Resource", stage.tags)),
            allow("apigateway", "POST", gateway_arn(stage, "/tags/*")),
            allow("logs", LOG_DELIVERY_ACTIONS, "*"),
            allow_linked_role(stage.arn("iam", linked_role, region=False), "ops.apigateway.amazonaws.com"),
        ]

    def request_costs(self, prices: Prices, requests: int, *, free_tier: bool) -> dict[str, float]:
        return {"API Gateway": requests / 1e6 * prices["api_gateway"]["million_requests"]}

    def status(self, live: Live) -> list[tuple[str, str]]:
        apis = self.find()
        return [("URL", _outputs(apis[0])["endpoint.url"] if apis else f"none yet: run {self.stage.command}")]


def _outputs(api: State) -> Outputs:
    return {"http_api.id": api["ApiId"], "endpoint.url": f"{api['ApiEndpoint']}/"}
