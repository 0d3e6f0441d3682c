"""Where moto's API Gateway and ACM differ from AWS's in a call that a deployment makes."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

from moto.acm.models import CertBundle, acm_backends
from moto.apigatewayv2.models import ApiGatewayV2Backend, apigatewayv2_backends
from moto.apigatewayv2.responses import ApiGatewayV2Response
from werkzeug import Response

from embedded_aws.calls import Call
from embedded_aws.errors import AwsError
from embedded_aws.route53.public_dns import PublicDns

Afterwards = Callable[[Response], None]
HOSTED_ZONE = "Z1UJRXOUMOOFQ8"  # API Gateway's own in us-east-1


class ApiGateway:
    """Each correction runs before moto answers; it raises AWS's error, or returns what corrects the answer."""

    def __init__(self, account: str, opens: Callable[[str, str], str], closes: Callable[[str], None]) -> None:
        self._account = account
        self._open = opens
        self._close = closes
        self.corrections: dict[tuple[str, str], Callable[[Call], Afterwards | None]] = {
            ("acm", "DeleteCertificate"): self._delete_certificate,
            ("apigatewayv2", "CreateApi"): self._create_api,
            ("apigatewayv2", "CreateDomainName"): self._create_domain_name,
            ("apigatewayv2", "CreateRoute"): self._create_route,
            ("apigatewayv2", "CreateStage"): self._create_stage,
            ("apigatewayv2", "DeleteApi"): self._delete_api,
            ("apigatewayv2", "DeleteDomainName"): self._delete_domain_name,
        }

    def _backend(self, call: Call) -> ApiGatewayV2Backend:
        return apigatewayv2_backends[self._account][call.region]

    def _create_api(self, call: Call) -> Afterwards:
        """The endpoint is an address where the API really answers."""

        def open_it(response: Response) -> None:
            answer: Any = response.get_json(force=True)
            endpoint = self._open(call.region, answer["apiId"])
            self._backend(call).apis[answer["apiId"]].api_endpoint = endpoint
            response.set_data(json.dumps(answer | {"apiEndpoint": endpoint}))

        return open_it

    def _create_route(self, call: Call) -> None:
        api, key = self._backend(call).apis.get(call.params["ApiId"]), call.params["RouteKey"]
        if api and any(route.route_key == key for route in api.routes.values()):
            raise AwsError("ConflictException", f"Route with key {key} already exists for this API", 409)

    def _create_stage(self, call: Call) -> None:
        """moto would overwrite it."""
        api, name = self._backend(call).apis.get(call.params["ApiId"]), call.params["StageName"]
        if api and name in api.stages:
            raise AwsError("ConflictException", "Stage already exists", 409)

    def _delete_api(self, call: Call) -> Afterwards:
        api_id = call.params["ApiId"]
        if api_id not in self._backend(call).apis:
            raise AwsError("NotFoundException", f"Invalid API identifier specified {self._account}:{api_id}", 404)
        if any(mapping.api_id == api_id for mapping in self._backend(call).api_mappings.values()):
            raise AwsError(
                "BadRequestException",
                "Deleting API failed. Please remove all base path mappings related to the API in your domains first.",
            )
        return lambda response: self._close(api_id)

    def _create_domain_name(self, call: Call) -> Afterwards:
        """Takes a certificate that is issued, and says what DNS must lead to."""
        name, (wanted,) = call.params["DomainName"], call.params["DomainNameConfigurations"]
        certificate = self._certificate(call, wanted["CertificateArn"])
        if certificate is None or certificate.status != "ISSUED":
            raise AwsError("BadRequestException", f"Certificate {wanted['CertificateArn']} is not issued yet.")
        if not any(covers(pattern, name) for pattern in [certificate.common_name, *certificate.sans]):
            raise AwsError("BadRequestException", f"Certificate does not match {name}.")
        target = f"d-{hashlib.sha256(name.encode()).hexdigest()[:10]}.execute-api.{call.region}.amazonaws.com"

        def fill_in(response: Response) -> None:
            domain = self._backend(call).domain_names[name]
            more = {"apiGatewayDomainName": target, "hostedZoneId": HOSTED_ZONE, "domainNameStatus": "AVAILABLE"}
            domain.domain_name_configurations = [domain.domain_name_configurations[0] | more]
            certificate.in_use_by.append(domain.domain_name_arn)
            response.set_data(json.dumps(domain.to_json()))

        return fill_in

    def _delete_domain_name(self, call: Call) -> None:
        backend, name = self._backend(call), call.params["DomainName"]
        if domain := backend.domain_names.get(name):
            for mapping in [m for m, held in backend.api_mappings.items() if held.domain_name == name]:
                del backend.api_mappings[mapping]  # moto stumbles over it
            arn: Any = domain.domain_name_configurations[0].get("certificateArn")
            if certificate := self._certificate(call, arn):
                certificate.in_use_by.clear()

    def _delete_certificate(self, call: Call) -> None:
        certificate = self._certificate(call, call.params["CertificateArn"])
        if certificate and certificate.in_use_by:
            raise AwsError("ResourceInUseException", f"Certificate {certificate.arn} in use")
        tokens = acm_backends[self._account][call.region]._idempotency_tokens
        for token in [token for token, held in tokens.items() if held["arn"] == call.params["CertificateArn"]]:
            del tokens[token]  # moto would look for the certificate when the token comes again

    def _certificate(self, call: Call, arn: str) -> CertBundle | None:
        backend = acm_backends[self._account][call.region]
        return backend.get_certificate(arn) if arn in backend._certificates else None


def covers(pattern: str, name: str) -> bool:
    return name == pattern or (pattern.startswith("*.") and name.partition(".")[2] == pattern[2:])


def issued_by(dns: PublicDns) -> Callable[[CertBundle], None]:
    """In place of CertBundle.check, where moto issues after a minute: ACM issues when DNS has the record."""

    def check(self: CertBundle) -> None:
        if self.type == "AMAZON_ISSUED" and self.status == "PENDING_VALIDATION":
            record = self.describe()["Certificate"]["DomainValidationOptions"][0]["ResourceRecord"]
            if dns.resolve(record["Name"], "CNAME") == record["Value"].rstrip("."):
                self.status = "ISSUED"

    return check


def update_stage(self: ApiGatewayV2Response) -> tuple[int, dict[str, str], str]:
    """The operation, which moto lacks: what is given replaces what is there."""
    api_id, _, name = self.path.split("/")[-3:]
    stage = self.apigatewayv2_backend.get_stage(api_id, name.replace("%24", "$"))
    changes = json.loads(self.body)
    stage.default_route_settings = changes.get("defaultRouteSettings", stage.default_route_settings)
    stage.access_log_settings = changes.get("accessLogSettings", stage.access_log_settings)
    stage.auto_deploy = changes.get("autoDeploy", stage.auto_deploy)
    return 200, {}, json.dumps(stage.to_json())
