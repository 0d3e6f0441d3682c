"""A project with an HTTP API and a custom domain on an embedded AWS, with its Route 53 and its DNS."""

import http.client
from typing import Any

from embedded_aws import EmbeddedAws
from scripts.deploy_tool import Run
from scripts.projects import Project
from tests.support.deploy_tool import DeployTool

DOMAIN, ZONE = "api.example.com", "example.com"


class DomainSetup:
    """A project that is deployed with different [domain] tables in deploy.toml."""

    def __init__(self, aws: EmbeddedAws, project: Project, image: str) -> None:
        self.aws = aws
        self.deploy = DeployTool(project, aws)
        self._image = image
        self._deploy_toml = project.path / "deploy.toml"
        self._without_table = self._deploy_toml.read_text("utf-8")

    def release(self, table: str = "", *arguments: str) -> Run:
        """Deploy with this [domain] table, or without one."""
        self.configure(table)
        return self.deploy(*arguments, "--image", self._image)

    def configure(self, table: str = "") -> None:
        """Replace the [domain] table of deploy.toml, or remove it, without a deploy."""
        self._deploy_toml.write_text(self._without_table + table, encoding="utf-8")

    def release_and_list_mutations(self, table: str) -> list[str]:
        """Deploy with this [domain] table and return the AWS calls that changed something."""
        before = len(self.aws.calls)
        assert self.release(table).code == 0
        return [call.operation for call in self.aws.calls[before:] if call.mutating]

    def get(self, host: str = DOMAIN) -> tuple[int, str]:
        """Send a request to the API with this host name, and return the status and the body of the response."""
        (api,) = self.aws.client("apigatewayv2").get_apis()["Items"]
        connection = http.client.HTTPConnection(api["ApiEndpoint"].removeprefix("http://"), timeout=10)
        connection.request("GET", "/", headers={"Host": host})
        response = connection.getresponse()
        return response.status, response.read().decode()

    def domains_and_certificates(self) -> list[Any]:
        """Return all custom domain names and certificates in the account."""
        domains = self.aws.client("apigatewayv2").get_domain_names()["Items"]
        return [*domains, *self.aws.client("acm").list_certificates()["CertificateSummaryList"]]

    def tags(self) -> list[dict[str, str]]:
        """Return the tags of each certificate and of each custom domain name."""
        acm = self.aws.client("acm")
        arns = [item["CertificateArn"] for item in acm.list_certificates()["CertificateSummaryList"]]
        lists = [acm.list_tags_for_certificate(CertificateArn=arn)["Tags"] for arn in arns]
        certificates = [{tag["Key"]: tag["Value"] for tag in tags} for tags in lists]
        return [*certificates, *(item["Tags"] for item in self.aws.client("apigatewayv2").get_domain_names()["Items"])]

    def create_hosted_zone(self, *, delegated: bool = True) -> str:
        """Create the hosted zone and return its ID."""
        zone = self.aws.client("route53").create_hosted_zone(Name=ZONE, CallerReference="one")
        if delegated:
            self.aws.dns.delegated.add(ZONE)
        return str(zone["HostedZone"]["Id"])

    def record_sets(self, zone: str) -> list[Any]:
        """Return the records of the zone, except those that every zone has."""
        sets = self.aws.client("route53").list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
        return [record for record in sets if record["Type"] not in ("NS", "SOA")]

    def records(self, zone: str) -> list[tuple[str, str]]:
        """Return the name and the type of each of these records."""
        return [(record["Name"], record["Type"]) for record in self.record_sets(zone)]

    def change_record(self, zone: str, action: str, record: dict[str, Any]) -> None:
        """CREATE or DELETE a record of the zone without the deploy tool."""
        changes = [{"Action": action, "ResourceRecordSet": record}]
        self.aws.client("route53").change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": changes})
