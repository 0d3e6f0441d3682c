"""The custom domain name of API Gateway, and the mapping that leads from it to the API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from deploy.errors import DeployError, suppress_errors
from deploy.iam import Statement, allow, tag_condition
from deploy.resources.http_api import DEFAULT, gateway_arn
from deploy.stage import Stage
from deploy.state import State


class DomainName:
    """A custom domain name. It exists once its certificate was issued."""

    def __init__(self, stage: Stage, name: str) -> None:
        self.stage = stage
        self.name = name

    def read(self) -> State | None:
        """Return its DomainNameConfiguration, to which DNS has to lead, with `tags`, or None if this stage has none."""
        response = self._describe()
        tags = response.get("Tags", {})
        is_own = self.stage.tags.items() <= tags.items()
        return {**response["DomainNameConfigurations"][0], "tags": tags} if is_own else None

    def _describe(self) -> Any:
        with suppress_errors("NotFoundException"):
            return self.stage.client("apigatewayv2").get_domain_name(DomainName=self.name)
        return {}

    def create(self, certificate_arn: str) -> State:
        """Create it and return its DomainNameConfiguration. Raise DeployError if somebody else created it."""
        if self._describe():
            raise DeployError(
                f"API Gateway already has a domain {self.name}, but this tool did not create it for this stage.",
                "Choose another name under [domain] in deploy.toml, or delete it.",
            )
        response = self.stage.client("apigatewayv2").create_domain_name(
            DomainName=self.name,
            DomainNameConfigurations=[
                {
                    "CertificateArn": certificate_arn,
                    "EndpointType": "REGIONAL",
                    "SecurityPolicy": "TLS_1_2",
                    "IpAddressType": "dualstack",  # for the AAAA record
                }
            ],
            Tags=self.stage.all_tags,
        )
        return {**response["DomainNameConfigurations"][0]}

    @property
    def arn(self) -> str:
        """The ARN of the domain name."""
        return gateway_arn(self.stage, f"/domainnames/{self.name}")

    def add_tags(self, tags: Mapping[str, str]) -> None:
        """Add tags if it exists for this stage."""
        if self.read():
            self.stage.client("apigatewayv2").tag_resource(ResourceArn=self.arn, Tags=tags)

    def remove_tags(self, keys: Sequence[str]) -> None:
        """Remove tags if it exists for this stage."""
        if self.read():
            self.stage.client("apigatewayv2").untag_resource(ResourceArn=self.arn, TagKeys=keys)

    def mapped_apis(self) -> list[str]:
        """Return the IDs of the APIs that it leads to."""
        return [mapping["ApiId"] for mapping in self._mappings()]

    def map_to(self, api_id: str) -> None:
        """Make it lead to this API only."""
        if self.mapped_apis() != [api_id]:
            self._delete_mappings()
            self.stage.client("apigatewayv2").create_api_mapping(DomainName=self.name, ApiId=api_id, Stage=DEFAULT)

    def delete(self) -> None:
        """Delete it with its mappings."""
        self._delete_mappings()
        self.stage.client("apigatewayv2").delete_domain_name(DomainName=self.name)

    def _mappings(self) -> list[Any]:
        return [*self.stage.client("apigatewayv2").get_api_mappings(DomainName=self.name)["Items"]]

    def _delete_mappings(self) -> None:
        client = self.stage.client("apigatewayv2")
        for mapping in self._mappings():
            client.delete_api_mapping(DomainName=self.name, ApiMappingId=mapping["ApiMappingId"])

    def permissions(self) -> list[Statement]:
        """Return the statements that a deploy needs to connect and to remove the name."""
        is_tagged = tag_condition("Request", self.stage.tags)
        return [
            allow("apigateway", "POST", gateway_arn(self.stage, "/domainnames"), when=is_tagged),
            allow("apigateway", "DELETE GET POST", self.arn, f"{self.arn}/apimappings*"),
        ]
