"""Corrections of API Gateway's HTTP APIs."""

import hashlib
import json
from typing import Any

from moto.acm.models import acm_backends
from moto.apigatewayv2 import urls
from moto.apigatewayv2.models import Api, ApiGatewayV2Backend, apigatewayv2_backends
from moto.apigatewayv2.responses import ApiGatewayV2Response
from werkzeug import Response

from embedded_aws.api_gateway.http_api import HttpApis
from embedded_aws.calls import Call
from embedded_aws.errors import AwsError
from embedded_aws.moto_corrections.acm import find_certificate
from embedded_aws.moto_corrections.correction import Corrections, EditResponse, Patch, ServiceCorrections

# moto has no route for the tags of domain names.
urls.url_paths["{0}/v2/tags/(?P<resource_arn_pt1>[^/]+)/domainnames/(?P<resource_arn_pt2>[^/]+)$"] = (
    ApiGatewayV2Response.dispatch
)
# https://docs.aws.amazon.com/general/latest/gr/apigateway.html: the zone of Regional endpoints in us-east-1
HOSTED_ZONE = "Z1UJRXOUMOOFQ8"


class ApiGatewayCorrections(ServiceCorrections):
    """Serve HTTP APIs, and refuse what API Gateway refuses."""

    def __init__(self, account: str, http_apis: HttpApis) -> None:
        super().__init__(account)
        self._http_apis = http_apis

    def corrections(self) -> Corrections:
        """Return the corrections of calls."""
        return {
            ("apigatewayv2", "CreateApi"): self._create_api,
            ("apigatewayv2", "CreateDomainName"): self._create_domain_name,
            ("apigatewayv2", "CreateRoute"): self._create_route,
            ("apigatewayv2", "CreateStage"): self._create_stage,
            ("apigatewayv2", "DeleteApi"): self._delete_api,
            ("apigatewayv2", "DeleteDomainName"): self._delete_domain_name,
            ("apigatewayv2", "TagResource"): self._change_tags,
            ("apigatewayv2", "UntagResource"): self._change_tags,
        }

    def patches(self) -> list[Patch]:
        """Return UpdateStage, which moto does not implement."""
        return [(ApiGatewayV2Response, "update_stage", update_stage)]

    def _backend(self, call: Call) -> ApiGatewayV2Backend:
        return apigatewayv2_backends[self._account][call.region]

    def _api(self, call: Call) -> Api | None:
        return self._backend(call).apis.get(call.params["ApiId"])

    def _create_api(self, call: Call) -> EditResponse:
        """Serve the API on a port of this machine. moto returns an endpoint that does not exist."""

        def serve(response: Response) -> None:
            members: Any = response.get_json(force=True)
            endpoint = self._http_apis.open(call.region, members["apiId"])
            self._backend(call).apis[members["apiId"]].api_endpoint = endpoint
            response.set_data(json.dumps(members | {"apiEndpoint": endpoint}))

        return serve

    def _create_route(self, call: Call) -> None:
        """Refuse a second route with the same key. moto creates it.

        https://docs.aws.amazon.com/apigatewayv2/latest/api-reference/apis-apiid-routes.html
        """
        api, key = self._api(call), call.params["RouteKey"]
        if api and any(route.route_key == key for route in api.routes.values()):
            raise AwsError("ConflictException", f"Route with key {key} already exists for this API", 409)

    def _create_stage(self, call: Call) -> None:
        """Refuse a second stage with the same name. moto replaces the first.

        https://docs.aws.amazon.com/apigatewayv2/latest/api-reference/apis-apiid-stages.html
        """
        api = self._api(call)
        if api and call.params["StageName"] in api.stages:
            raise AwsError("ConflictException", "Stage already exists", 409)

    def _delete_api(self, call: Call) -> EditResponse:
        """Refuse to delete an unknown API, and one that a domain is mapped to. moto ignores both conditions.

        https://docs.aws.amazon.com/apigatewayv2/latest/api-reference/apis-apiid.html
        """
        api_id, backend = call.params["ApiId"], self._backend(call)
        if api_id not in backend.apis:
            raise AwsError("NotFoundException", f"Invalid API identifier specified {self._account}:{api_id}", 404)
        if any(mapping.api_id == api_id for mapping in backend.api_mappings.values()):
            raise AwsError(
                "BadRequestException",
                "Deleting API failed. Please remove all base path mappings related to the API in your domains first.",
            )
        return lambda response: self._http_apis.close(api_id)

    def _create_domain_name(self, call: Call) -> EditResponse:
        """Require a certificate that is issued for the name, and return the target for DNS. moto does neither.

        https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-custom-domain-names.html
        """
        name, (configuration,) = call.params["DomainName"], call.params["DomainNameConfigurations"]
        arn = configuration["CertificateArn"]
        certificate = find_certificate(acm_backends[self._account][call.region], arn)
        if certificate is None or certificate.status != "ISSUED":
            raise AwsError("BadRequestException", f"Certificate {arn} is not issued yet.")
        if not any(covers(pattern, name) for pattern in [certificate.common_name, *certificate.sans]):
            raise AwsError("BadRequestException", f"Certificate does not match {name}.")
        target = f"d-{hashlib.sha256(name.encode()).hexdigest()[:10]}.execute-api.{call.region}.amazonaws.com"

        def add_target(response: Response) -> None:
            domain = self._backend(call).domain_names[name]
            members = {"apiGatewayDomainName": target, "hostedZoneId": HOSTED_ZONE, "domainNameStatus": "AVAILABLE"}
            domain.domain_name_configurations = [domain.domain_name_configurations[0] | members]
            certificate.in_use_by.append(domain.domain_name_arn)
            response.set_data(json.dumps(domain.to_json()))

        return add_target

    def _delete_domain_name(self, call: Call) -> EditResponse | None:
        """Delete the mappings of a domain with it. moto keeps them and then fails on them.

        The certificate of the domain can be deleted afterwards, unless another domain uses it.

        https://docs.aws.amazon.com/apigatewayv2/latest/api-reference/domainnames-domainname.html
        """
        backend, name = self._backend(call), call.params["DomainName"]
        domain = backend.domain_names.get(name)
        if domain is None:
            return None

        for mapping_id in [i for i, mapping in backend.api_mappings.items() if mapping.domain_name == name]:
            del backend.api_mappings[mapping_id]
        arn: Any = domain.domain_name_configurations[0].get("certificateArn")
        certificate = find_certificate(acm_backends[self._account][call.region], arn)

        def release_certificate(response: Response) -> None:
            if certificate and domain.domain_name_arn in certificate.in_use_by:
                certificate.in_use_by.remove(domain.domain_name_arn)

        return release_certificate

    def _change_tags(self, call: Call) -> EditResponse | None:
        """Change the tags of a domain name. moto only stores those with which it was created.

        https://docs.aws.amazon.com/apigatewayv2/latest/api-reference/tags-resource-arn.html
        """
        domain = self._backend(call).domain_names.get(call.params["ResourceArn"].partition("/domainnames/")[2])
        if domain is None:
            return None

        def change(response: Response) -> None:
            removed = call.params.get("TagKeys", [])
            domain.tags = {key: value for key, value in domain.tags.items() if key not in removed}
            domain.tags |= call.params.get("Tags", {})

        return change


def covers(pattern: str, name: str) -> bool:
    """Return True if a certificate for this name, or wildcard name, is valid for `name`."""
    return name == pattern or (pattern.startswith("*.") and name.partition(".")[2] == pattern[2:])


def update_stage(self: ApiGatewayV2Response) -> tuple[int, dict[str, str], str]:
    """Replace the members of a stage by those of the request. moto does not implement UpdateStage.

    https://docs.aws.amazon.com/apigatewayv2/latest/api-reference/apis-apiid-stages-stagename.html
    """
    api_id, _, name = self.path.split("/")[-3:]
    stage = self.apigatewayv2_backend.get_stage(api_id, name.replace("%24", "$"))
    changes = json.loads(self.body)
    stage.default_route_settings = changes.get("defaultRouteSettings", stage.default_route_settings)
    stage.access_log_settings = changes.get("accessLogSettings", stage.access_log_settings)
    stage.auto_deploy = changes.get("autoDeploy", stage.auto_deploy)
    return 200, {}, json.dumps(stage.to_json())
