"""The public HTTPS endpoint: an API Gateway HTTP API whose one route leads to the alias `live`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from deploy.aws import absent_is_none
from deploy.resource import Resource, State
from deploy.resources.function import ALIAS
from deploy.resources.log_group import LogGroup

if TYPE_CHECKING:
    from mypy_boto3_apigatewayv2.type_defs import ApiTypeDef, CreateApiResponseTypeDef

DEFAULT = "$default"  # as a stage it adds nothing to the path, as a route it takes every request
STATEMENT = "http-api"
ACCESS_LOG = {
    "requestId": "$context.requestId",
    "requestTime": "$context.requestTime",
    "ip": "$context.identity.sourceIp",
    "method": "$context.httpMethod",
    "path": "$context.path",
    "status": "$context.status",
    "responseLength": "$context.responseLength",
    "responseLatency": "$context.responseLatency",
    "error": "$context.integrationErrorMessage",
}


class AccessLogGroup(LogGroup):
    """Every request, those included that never reach the function."""

    @property
    def name(self) -> str:
        return f"/aws/apigateway/{self.service.full_name}"


class HttpApi(Resource):
    """API, integration, route, stage and permission, each of which may be missing after an interruption."""

    kind = "HTTP API"

    @property
    def _on_alias(self) -> dict[str, Any]:
        return {"FunctionName": self.name, "Qualifier": ALIAS}

    def desired(self) -> State:
        return {
            "copies": 1,
            "integration": {
                "IntegrationType": "AWS_PROXY",
                "IntegrationUri": self.aws.arn("lambda", f"function:{self.name}:{ALIAS}"),
                "PayloadFormatVersion": "2.0",
            },
            "stage": {
                "AutoDeploy": True,
                "DefaultRouteSettings": {
                    "ThrottlingRateLimit": float(self.service.throttling.requests_per_second),
                    "ThrottlingBurstLimit": self.service.throttling.burst,
                },
                "AccessLogSettings": {
                    "DestinationArn": AccessLogGroup(self.service, self.aws).arn,
                    "Format": json.dumps(ACCESS_LOG),
                },
            },
            "permission": True,
        }

    def read(self) -> State | None:
        found = self._found()
        if not found:
            return None
        return {
            "copies": len(found),
            "integration": self._integration(),
            "stage": self._stage(),
            "permission": self._permission() == self._wanted_permission(),
            "tags": found[0]["Tags"],
        }

    def _found(self) -> list[ApiTypeDef]:
        """Ours, oldest first. Names of APIs are not unique: a repeated request makes another one of the same name."""
        pages = self.aws.apigateway.get_paginator("get_apis").paginate()
        apis = [api for page in pages for api in page["Items"] if api["Name"] == self.name]
        ours = [api for api in apis if self.service.tags.items() <= api.get("Tags", {}).items()]
        ours.sort(key=lambda api: (api["CreatedDate"], api["ApiId"]))
        self.aws.http_api = _chosen(ours[0]) if ours else {}
        return ours

    @property
    def chosen(self) -> dict[str, str]:
        """Id, endpoint and tags; empty when there is no API."""
        if not self.aws.http_api:
            self._found()
        return self.aws.http_api

    @property
    def id(self) -> str:
        """Empty when there is no API."""
        return self.chosen.get("id", "")

    def url(self) -> str | None:
        """What clients call, ending in a slash; None before the first release."""
        return f"{self.chosen['endpoint']}/" if self.chosen else None

    def _route(self) -> str | None:
        """The id of the integration that the route leads to."""
        routes = self.aws.apigateway.get_routes(ApiId=self.id)["Items"]
        targets = [route.get("Target", "") for route in routes if route["RouteKey"] == DEFAULT]
        return targets[0].removeprefix("integrations/") if targets else None

    def _integration(self) -> State | None:
        if route := self._route():
            found = self.aws.apigateway.get_integration(ApiId=self.id, IntegrationId=route)
            return {key: found.get(key) for key in self.desired()["integration"]}
        return None

    def _stage(self) -> State | None:
        with absent_is_none("NotFoundException"):
            found: State = {**self.aws.apigateway.get_stage(ApiId=self.id, StageName=DEFAULT)}
            wanted = self.desired()["stage"]
            settings = found.get("DefaultRouteSettings", {})
            found["DefaultRouteSettings"] = {key: settings.get(key) for key in wanted["DefaultRouteSettings"]}
            return {key: found.get(key) for key in wanted}
        return None

    def _wanted_permission(self) -> State:
        """Only this API, and only on the alias. With no condition any API of any account could call the function."""
        return {
            "Sid": STATEMENT,
            "Effect": "Allow",
            "Principal": {"Service": "apigateway.amazonaws.com"},
            "Action": "lambda:InvokeFunction",
            "Resource": self.aws.arn("lambda", f"function:{self.name}:{ALIAS}"),
            "Condition": {"ArnLike": {"AWS:SourceArn": self._source_arn}},
        }

    @property
    def _source_arn(self) -> str:
        return self.aws.arn("execute-api", f"{self.id}/*/{DEFAULT}")

    def _permission(self) -> State | None:
        with absent_is_none("ResourceNotFoundException"):
            policy = json.loads(self.aws.lambda_.get_policy(**self._on_alias)["Policy"])
            return next((one for one in policy["Statement"] if one["Sid"] == STATEMENT), None)
        return None

    def create(self) -> None:
        made = self.aws.apigateway.create_api(Name=self.name, ProtocolType="HTTP", Tags=self.service.tags)
        self.aws.http_api = _chosen(made)
        self.update(self.desired())

    def update(self, changed: State) -> None:
        gateway = self.aws.apigateway
        if integration := changed.get("integration"):
            if route := self._route():
                gateway.update_integration(ApiId=self.id, IntegrationId=route, **integration)
            else:
                made = gateway.create_integration(ApiId=self.id, **integration)["IntegrationId"]
                gateway.create_route(ApiId=self.id, RouteKey=DEFAULT, Target=f"integrations/{made}")
        if stage := changed.get("stage"):
            put = gateway.update_stage if self._stage() else gateway.create_stage
            put(ApiId=self.id, StageName=DEFAULT, **stage)
        if "permission" in changed:
            if self._permission():
                self.aws.lambda_.remove_permission(**self._on_alias, StatementId=STATEMENT)
            self.aws.lambda_.add_permission(
                **self._on_alias,
                StatementId=STATEMENT,
                Action="lambda:InvokeFunction",
                Principal="apigateway.amazonaws.com",
                SourceArn=self._source_arn,
            )
        if "copies" in changed:
            self._delete_all_but(self.id)

    def delete(self) -> None:
        self._delete_all_but(None)

    def _delete_all_but(self, kept: str | None) -> None:
        for api in self._found():
            if api["ApiId"] != kept:
                self.aws.apigateway.delete_api(ApiId=api["ApiId"])
        self.aws.http_api = {}


def _chosen(api: ApiTypeDef | CreateApiResponseTypeDef) -> dict[str, str]:
    return {**api.get("Tags", {}), "id": api["ApiId"], "endpoint": api["ApiEndpoint"]}
