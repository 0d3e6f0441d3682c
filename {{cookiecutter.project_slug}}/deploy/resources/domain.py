"""The service's own name: a certificate, a custom domain of API Gateway, and the DNS records that lead there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from deploy import dns
from deploy.aws import Aws, absent_is_none
from deploy.config import Service
from deploy.problem import Problem
from deploy.resource import Resource, State
from deploy.resources.http_api import DEFAULT, HttpApi

if TYPE_CHECKING:
    from mypy_boto3_acm.type_defs import CertificateDetailTypeDef

ISSUE_S = 600  # ACM mostly looks within minutes; botocore's own waiter gives up after five
USABLE = ("ISSUED", "PENDING_VALIDATION")


class Domain(Resource):
    """The API's tags remember its name and zone, so that it can be taken down when deploy.toml has forgotten them.

    `waiting` is what must happen outside this tool before the name works: nothing is lost, the next run goes on.
    """

    kind = "domain"

    def __init__(self, service: Service, aws: Aws) -> None:
        super().__init__(service, aws)
        self.api = HttpApi(service, aws)
        self.waiting: list[str] = []
        self._was = ""
        self._zones: dict[str, State] = {}

    @property
    def name(self) -> str:
        return self._was or (self.service.domain.name if self.service.domain else "")

    @property
    def _remembered(self) -> tuple[str, str]:
        """Name and hosted zone that an earlier run began with; empty when there is none."""
        return self.api.chosen.get("domain", ""), self.api.chosen.get("hosted-zone", "")

    def desired(self) -> State | None:
        if self.service.domain is None:
            return None
        wanted = self.service.domain
        return {"domain": (wanted.name, wanted.hosted_zone), "certificate": "ISSUED", "api": self.api.id, "dns": True}

    def read(self) -> State | None:
        name, zone = self._remembered
        self._was = name
        if not name:
            return None
        target = self._target(name)
        return {
            "domain": (name, zone),
            "certificate": (self._certificate(name) or {}).get("Status"),
            "api": self._mapped_api(name) if target else None,
            "dns": bool(target) and self._leads_there(name, zone, target),
        }

    def create(self) -> None:
        self.update({})

    def update(self, changed: State) -> None:
        """Goes as far as it can: each step is left out when it is done already."""
        if self.service.domain is None:
            return
        name, zone = self.service.domain.name, self.service.domain.hosted_zone
        if self._remembered[0] and self._remembered != (name, zone):
            self.delete()
        self.waiting = []
        if self._remembered != (name, zone):
            self._remember({"domain": name, "hosted-zone": zone})
        certificate = self._certificate(name)
        if certificate is None or certificate["Status"] not in USABLE:
            certificate = self._request(name)
        if certificate["Status"] != "ISSUED" and not self._validated(certificate, zone):
            return
        target = self._target(name) or self._make(name, certificate["CertificateArn"])
        self._map(name)
        if zone:
            self._point(name, zone, target)
        elif not self._leads_there(name, zone, target):
            self.waiting += [
                f"for {name} to lead here, this DNS record (no proxy before it; at a zone's apex an ALIAS or ANAME):",
                f"  {name}  CNAME  {target['ApiGatewayDomainName']}",
            ]

    def delete(self) -> None:
        name, zone = self._remembered
        certificates = self._certificates(name)
        target = self._target(name)
        if zone:
            self._remove_records(name, zone, target, certificates)
        if target:
            for mapping in self.aws.apigateway.get_api_mappings(DomainName=name)["Items"]:
                self.aws.apigateway.delete_api_mapping(DomainName=name, ApiMappingId=mapping["ApiMappingId"])
            self.aws.apigateway.delete_domain_name(DomainName=name)
        for certificate in certificates:
            self._delete_certificate(certificate["CertificateArn"])
        self._remember({})

    def _remember(self, tags: dict[str, str]) -> None:
        arn = f"arn:{self.aws.partition}:apigateway:{self.aws.region}::/apis/{self.api.id}"
        if tags:
            self.aws.apigateway.tag_resource(ResourceArn=arn, Tags=tags)
        else:
            self.aws.apigateway.untag_resource(ResourceArn=arn, TagKeys=["domain", "hosted-zone"])
        self.aws.http_api = {}  # asked for again when needed

    def _certificates(self, name: str) -> list[CertificateDetailTypeDef]:
        """Ours for this name, the newest first."""
        pages = self.aws.acm.get_paginator("list_certificates").paginate()
        known = [one for page in pages for one in page["CertificateSummaryList"]]
        ours = []
        for arn in [one["CertificateArn"] for one in known if one["DomainName"] == name]:
            tags = self.aws.acm.list_tags_for_certificate(CertificateArn=arn)["Tags"]
            if self.service.tags.items() <= {tag["Key"]: tag.get("Value") for tag in tags}.items():
                ours.append(self.aws.acm.describe_certificate(CertificateArn=arn)["Certificate"])
        return sorted(ours, key=lambda one: (one["Status"] in USABLE, one["CreatedAt"]), reverse=True)

    def _certificate(self, name: str) -> CertificateDetailTypeDef | None:
        return next(iter(self._certificates(name)), None)

    def _request(self, name: str) -> CertificateDetailTypeDef:
        arn = self.aws.acm.request_certificate(
            DomainName=name,
            ValidationMethod="DNS",
            IdempotencyToken=hashlib.sha256(f"{self.api.id} {name}".encode()).hexdigest()[:32],
            Tags=[{"Key": key, "Value": value} for key, value in self.service.tags.items()],
        )["CertificateArn"]
        found: list[CertificateDetailTypeDef] = []

        def told() -> bool:
            """The record to validate it by comes some seconds later."""
            found[:] = [self.aws.acm.describe_certificate(CertificateArn=arn)["Certificate"]]
            return any("ResourceRecord" in one for one in found[0].get("DomainValidationOptions", []))

        self.aws.wait(f"making a certificate for {name}", told)
        return found[0]

    def _validated(self, certificate: CertificateDetailTypeDef, zone: str) -> bool:
        """Whether ACM has seen the record that proves whose name it is; where we can make it, it is made."""
        record = certificate["DomainValidationOptions"][0]["ResourceRecord"]
        if not zone:
            self.waiting += [
                "for ACM to issue the certificate, this DNS record (no proxy before it), wherever your DNS is:",
                f"  {record['Name']}  CNAME  {record['Value']}",
            ]
            return False
        self._change(zone, "UPSERT", [_cname(record["Name"], record["Value"])])
        if not self._delegated(zone):
            return False
        arn = certificate["CertificateArn"]

        def issued() -> bool:
            now = self.aws.acm.describe_certificate(CertificateArn=arn)["Certificate"]
            if now["Status"] not in USABLE:
                reason = now.get("FailureReason", "no reason given")
                raise Problem(
                    f"ACM did not issue a certificate for {now['DomainName']}: {now['Status']}, {reason}.",
                    "Correct what it names and run ./deploy.sh again. The service itself is live.",
                )
            return now["Status"] == "ISSUED"

        deadline = self.aws.clock() + ISSUE_S
        while not issued():
            if self.aws.clock() >= deadline:
                self.waiting.append("for ACM to issue the certificate: its DNS record is in place")
                return False
            self.aws.sleep(5)
        return True

    def _delegated(self, zone: str) -> bool:
        """Whether public DNS asks Route 53 about this zone. Otherwise waiting for ACM would be in vain."""
        ours = {server.lower() for server in self._zone(zone)["DelegationSet"]["NameServers"]}
        asked = dns.name_servers(zone)
        if asked is None or asked & ours:
            return True
        self.waiting += [
            f"for {zone} to be delegated to Route 53; its name servers are {', '.join(sorted(asked)) or 'none'}.",
            f"Where {zone} is registered, set them to: {', '.join(sorted(ours))}",
        ]
        return False

    def _target(self, name: str) -> State:
        """What the name must lead to; empty when API Gateway has no such domain. Raises Problem when it is not ours."""
        with absent_is_none("NotFoundException"):
            found = self.aws.apigateway.get_domain_name(DomainName=name)
            if not self.service.tags.items() <= found.get("Tags", {}).items():
                raise Problem(
                    f"API Gateway has a domain {name} already that was not made by this tool, or by another stage.",
                    "Choose another name under [domain] in deploy.toml, or remove it.",
                )
            return {**found["DomainNameConfigurations"][0]}
        return {}

    def _make(self, name: str, certificate: str) -> State:
        made = self.aws.apigateway.create_domain_name(
            DomainName=name,
            DomainNameConfigurations=[
                {
                    "CertificateArn": certificate,
                    "EndpointType": "REGIONAL",
                    "SecurityPolicy": "TLS_1_2",
                    "IpAddressType": "dualstack",  # AAAA records need it
                }
            ],
            Tags=self.service.tags,
        )
        return {**made["DomainNameConfigurations"][0]}

    def _mapped_api(self, name: str) -> str | None:
        mappings = self.aws.apigateway.get_api_mappings(DomainName=name)["Items"]
        return next((one["ApiId"] for one in mappings if not one.get("ApiMappingKey")), None)

    def _map(self, name: str) -> None:
        if self._mapped_api(name) == self.api.id:
            return
        for mapping in self.aws.apigateway.get_api_mappings(DomainName=name)["Items"]:
            self.aws.apigateway.delete_api_mapping(DomainName=name, ApiMappingId=mapping["ApiMappingId"])
        self.aws.apigateway.create_api_mapping(DomainName=name, ApiId=self.api.id, Stage=DEFAULT)

    def _leads_there(self, name: str, zone: str, target: State) -> bool:
        if zone:
            wanted = _aliases(name, target)
            return all(record in self._records(zone, name) for record in wanted)
        here, there = dns.addresses(name), dns.addresses(target["ApiGatewayDomainName"])
        return here is None or there is None or bool(here & there)

    def _point(self, name: str, zone: str, target: State) -> None:
        there, wanted = self._records(zone, name), _aliases(name, target)
        for record in there:
            alias = record.get("AliasTarget", {}).get("DNSName", "")
            if record["Type"] in ("A", "AAAA", "CNAME") and ".execute-api." not in alias:
                raise Problem(
                    f"{name} leads somewhere else already: there is a record of type {record['Type']} in {zone}.",
                    "Delete that record, or choose another name under [domain] in deploy.toml.",
                )
        if missing := [record for record in wanted if record not in there]:
            self._change(zone, "UPSERT", missing)

    def _remove_records(
        self, name: str, zone: str, target: State, certificates: Iterable[CertificateDetailTypeDef]
    ) -> None:
        ours = _aliases(name, target) if target else []
        names = [name]
        for certificate in certificates:
            for option in certificate.get("DomainValidationOptions", []):
                if record := option.get("ResourceRecord"):
                    ours.append(_cname(record["Name"], record["Value"]))
                    names.append(record["Name"])
        there = [record for one in dict.fromkeys(names) for record in self._records(zone, one)]
        if found := [record for record in there if record in ours]:
            self._change(zone, "DELETE", found)

    def _zone(self, zone: str) -> State:
        """The public hosted zone; of several with that name, the one that is delegated."""
        if zone in self._zones:
            return self._zones[zone]
        found = self.aws.route53.list_hosted_zones_by_name(DNSName=zone)["HostedZones"]
        ids = [one["Id"] for one in found if one["Name"] == f"{zone}." and not one.get("Config", {}).get("PrivateZone")]
        if not ids:
            raise Problem(
                f"There is no public hosted zone {zone} in Route 53.",
                "Correct hosted_zone in deploy.toml, or leave it out to make the DNS records yourself.",
            )
        zones: list[State] = [{**self.aws.route53.get_hosted_zone(Id=one)} for one in ids]
        asked = (dns.name_servers(zone) or set()) if len(zones) > 1 else set()
        self._zones[zone] = max(zones, key=lambda one: len(asked & set(one["DelegationSet"]["NameServers"])))
        return self._zones[zone]

    def _records(self, zone: str, name: str) -> list[State]:
        found = self.aws.route53.list_resource_record_sets(
            HostedZoneId=self._zone(zone)["HostedZone"]["Id"], StartRecordName=name, MaxItems="20"
        )["ResourceRecordSets"]
        return [{**one} for one in found if one["Name"].rstrip(".") == name.rstrip(".")]

    def _change(self, zone: str, action: Any, records: list[State]) -> None:
        changes: Any = [{"Action": action, "ResourceRecordSet": record} for record in records]
        self.aws.route53.change_resource_record_sets(
            HostedZoneId=self._zone(zone)["HostedZone"]["Id"], ChangeBatch={"Changes": changes}
        )

    def _delete_certificate(self, arn: str) -> None:
        def deleted() -> bool:
            """API Gateway gives it back some time after the domain is gone."""
            try:
                with absent_is_none("ResourceNotFoundException"):
                    self.aws.acm.delete_certificate(CertificateArn=arn)
            except self.aws.acm.exceptions.ResourceInUseException:
                return False
            return True

        self.aws.wait("releasing the certificate", deleted)


def _cname(name: str, value: str) -> State:
    return {"Name": name, "Type": "CNAME", "TTL": 300, "ResourceRecords": [{"Value": value}]}


def _aliases(name: str, target: State) -> list[State]:
    alias = {
        "HostedZoneId": target["HostedZoneId"],
        "DNSName": f"{target['ApiGatewayDomainName']}.",
        "EvaluateTargetHealth": False,
    }
    return [{"Name": f"{name}.", "Type": kind, "AliasTarget": alias} for kind in ("A", "AAAA")]
