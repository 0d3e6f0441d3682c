"""The public HTTPS endpoint: an API Gateway HTTP API whose one route leads to the alias `live`."""

from __future__ import annotations

import json
from typing import Any

from deploy.aws import absent_is_none
from deploy.resource import Resource, State
from deploy.resources.function import ALIAS
from deploy.resources.log_group import LogGroup

DEFAULT = "$default"  # as a stage it adds nothing to the path, as a route it takes every request
STATEMENT = "http-api"
LOGGED = {
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


class AccessLogGroup(LogGroup):
    """Every request, those included that never reach the function."""

    @property
    def name(self) -> str:
        return f"/aws/apigateway/{self.service.full_name}"


class HttpApi(Resource):
    """API, integration, route, stage and permission, each of which may be missing after an interruption."""

    kind = "HTTP API"
    _api: State | None = None  # as last read: its id, endpoint and tags

    def desired(self) -> State:
        throttling = self.service.throttling
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
                    "ThrottlingRateLimit": float(throttling.requests_per_second),
                    "ThrottlingBurstLimit": throttling.burst,
                },
                "AccessLogSettings": {
                    "DestinationArn": AccessLogGroup(self.service, self.aws).arn,
                    "Format": json.dumps({key: f"$context.{value}" for key, value in LOGGED.items()}),
                },
            },
            "permission": "exact",
        }

    def read(self) -> State | None:
        found = self._found()
        if not found:
            return None
        return {
            "copies": len(found),
            "integration": self._integration(),
            "stage": self._stage(),
            "permission": self._permission(),
            "tags": found[0]["Tags"],
        }

    def _found(self) -> list[State]:
        """Ours, oldest first. Names of APIs are not unique: a repeated request makes another one of the same name."""
        pages = self.aws.apigatewayv2.get_paginator("get_apis").paginate()
        named: list[State] = [{**api} for page in pages for api in page["Items"] if api["Name"] == self.name]
        ours = [api for api in named if self.service.tags.items() <= api.get("Tags", {}).items()]
        ours.sort(key=lambda api: (api["CreatedDate"], api["ApiId"]))
        self._api = ours[0] if ours else {}
        return ours

    def api(self, *, again: bool = False) -> State:
        """As AWS tells it; empty when there is none."""
        if again or self._api is None:
            self._found()
        return self._api or {}

    @property
    def id(self) -> str:
        """Empty when there is no API."""
        return str(self.api().get("ApiId", ""))

    def url(self) -> str:
        """What clients call, ending in a slash; empty before the first release."""
        return f"{self.api()['ApiEndpoint']}/" if self.api() else ""

    def _route(self) -> str:
        """The id of the integration that the route leads to; empty when there is no route."""
        routes = self.aws.apigatewayv2.get_routes(ApiId=self.id)["Items"]
        targets = [route.get("Target", "") for route in routes if route["RouteKey"] == DEFAULT]
        return targets[0].removeprefix("integrations/") if targets else ""

    def _integration(self) -> State | None:
        if route := self._route():
            return {**self.aws.apigatewayv2.get_integration(ApiId=self.id, IntegrationId=route)}
        return None

    def _stage(self) -> State | None:
        with absent_is_none("NotFoundException"):
            stage: State = {**self.aws.apigatewayv2.get_stage(ApiId=self.id, StageName=DEFAULT)}
            limits = stage.get("DefaultRouteSettings", {})
            stage["DefaultRouteSettings"] = {key: limits[key] for key in limits if key.startswith("Throttling")}
            return stage
        return None

    @property
    def _on_alias(self) -> dict[str, Any]:
        return {"FunctionName": self.name, "Qualifier": ALIAS}

    @property
    def _source_arn(self) -> str:
        return self.aws.arn("execute-api", f"{self.id}/*/{DEFAULT}")

    def _permission(self) -> str:
        """Whether it lets in this API alone. With no condition any API of any account could call the function."""
        exact = {
            "Sid": STATEMENT,
            "Effect": "Allow",
            "Principal": {"Service": "apigateway.amazonaws.com"},
            "Action": "lambda:InvokeFunction",
            "Resource": self.aws.arn("lambda", f"function:{self.name}:{ALIAS}"),
            "Condition": {"ArnLike": {"AWS:SourceArn": self._source_arn}},
        }
        with absent_is_none("ResourceNotFoundException"):
            policy = json.loads(self.aws.lambda_.get_policy(**self._on_alias)["Policy"])
            there = [statement for statement in policy["Statement"] if statement["Sid"] == STATEMENT]
            return "exact" if there == [exact] else "other" if there else ""
        return ""

    def create(self) -> None:
        self.aws.apigatewayv2.create_api(Name=self.name, ProtocolType="HTTP", Tags=self.service.tags)
        self.update(self.desired())

    def update(self, changed: State) -> None:
        gateway = self.aws.apigatewayv2
        if "copies" in changed:
            self._delete(self._found()[1:])
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
            grant: State = {"Action": "lambda:InvokeFunction", "Principal": "apigateway.amazonaws.com"}
            self.aws.lambda_.add_permission(
                **self._on_alias, StatementId=STATEMENT, SourceArn=self._source_arn, **grant
            )

    def delete(self) -> None:
        self._delete(self._found())

    def _delete(self, apis: list[State]) -> None:
        for api in apis:
            self.aws.apigatewayv2.delete_api(ApiId=api["ApiId"])
        self._api = None
