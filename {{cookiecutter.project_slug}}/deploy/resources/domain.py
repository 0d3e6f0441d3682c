"""The service's own name: a certificate, a custom domain of API Gateway, and the DNS records that lead there."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from functools import cache
from typing import Any

from deploy import dns
from deploy.aws import Aws, absent_is_none
from deploy.config import Service
from deploy.dns import HostedZone, Record
from deploy.problem import Problem
from deploy.resource import Resource, State, tag_dict
from deploy.resources.http_api import DEFAULT, HttpApi

ISSUE_S = 600  # ACM mostly looks within minutes; botocore's own waiter gives up after five
USABLE = ("ISSUED", "PENDING_VALIDATION")


class Domain(Resource):
    """The API's tags remember its name and zone, so that it can be taken down when deploy.toml has forgotten them.

    `waiting` is what must happen outside this tool before the name works: nothing is lost, the next run goes on.
    """

    kind = "domain"

    def __init__(self, service: Service, aws: Aws, api: HttpApi) -> None:
        super().__init__(service, aws)
        self.api = api
        self.waiting: list[str] = []
        self.zone = cache(lambda name: HostedZone(aws, name))
        self._was = ""

    @property
    def name(self) -> str:
        return self._was or (self.service.domain.name if self.service.domain else "")

    @property
    def _remembered(self) -> tuple[str, str]:
        """Name and hosted zone that an earlier run began with; empty when there is none."""
        tags = self.api.api().get("Tags", {})
        return tags.get("domain", ""), tags.get("hosted-zone", "")

    def desired(self) -> State | None:
        if self.service.domain is None:
            return None
        wanted = self.service.domain
        return {
            "name": wanted.name,
            "hosted_zone": wanted.hosted_zone,
            "certificate": "ISSUED",
            "api": self.api.id,
            "dns": True,
        }

    def read(self) -> State | None:
        name, zone = self._remembered
        self._was = name
        if not name:
            return None
        target = self._target(name)
        return {
            "name": name,
            "hosted_zone": zone,
            "certificate": next((one["Status"] for one in self._certificates(name)), None),
            "api": next((one["ApiId"] for one in self._mappings(name)), None) if target else None,
            "dns": bool(target) and self._leads_there(name, zone, target),
        }

    def create(self) -> None:
        self.update({})

    def update(self, changed: State) -> None:
        """Goes as far as it can: each step is left out when it is done already."""
        if self.service.domain is None:
            return
        name, zone = self.service.domain.name, self.service.domain.hosted_zone
        if zone:
            self.zone(zone)  # raises Problem when there is none, before anything is made or remembered
        if self._remembered != (name, zone):
            if self._remembered[0]:
                self.delete()
            self._remember({"domain": name, "hosted-zone": zone})
        self.waiting = []
        certificate = next((one for one in self._certificates(name) if one["Status"] in USABLE), None)
        certificate = certificate or self._request(name)
        if certificate["Status"] != "ISSUED" and not self._validated(certificate, zone):
            return
        target = self._target(name) or self._make(name, certificate["CertificateArn"])
        if [one["ApiId"] for one in self._mappings(name)] != [self.api.id]:
            self._unmap(name)
            self.aws.apigatewayv2.create_api_mapping(DomainName=name, ApiId=self.api.id, Stage=DEFAULT)
        if zone:
            self._point(name, zone, target)
        elif not self._leads_there(name, zone, target):
            self.waiting = [
                f"for {name} to lead here, this DNS record (no proxy before it; at a zone's apex an ALIAS or ANAME):",
                f"  {name}  CNAME  {target['ApiGatewayDomainName']}",
            ]

    def delete(self) -> None:
        name, zone = self._remembered
        certificates, target = self._certificates(name), self._target(name)
        if hosted := self._hosted(zone):
            ours = [_validation(one) for one in certificates if "ResourceRecord" in str(one)]
            hosted.remove(ours + (_aliases(name, target) if target else []))
        if target:
            self._unmap(name)
            self.aws.apigatewayv2.delete_domain_name(DomainName=name)
        for certificate in certificates:
            self._delete_certificate(certificate["CertificateArn"])
        self._remember({})

    def _remember(self, tags: dict[str, str]) -> None:
        arn = f"arn:{self.aws.partition}:apigateway:{self.aws.region}::/apis/{self.api.id}"
        if tags:
            self.aws.apigatewayv2.tag_resource(ResourceArn=arn, Tags=tags)
        else:
            self.aws.apigatewayv2.untag_resource(ResourceArn=arn, TagKeys=["domain", "hosted-zone"])
        self.api.api(again=True)

    def _certificates(self, name: str) -> list[Any]:
        """Ours for this name, the one in use first."""
        pages = self.aws.acm.get_paginator("list_certificates").paginate()
        named = [one for page in pages for one in page["CertificateSummaryList"] if one["DomainName"] == name]
        ours = []
        for arn in [one["CertificateArn"] for one in named]:
            tags = self.aws.acm.list_tags_for_certificate(CertificateArn=arn)["Tags"]
            if self.service.tags.items() <= tag_dict(tags).items():
                ours.append(self.aws.acm.describe_certificate(CertificateArn=arn)["Certificate"])
        return sorted(ours, key=lambda one: (one["Status"] in USABLE, one["CreatedAt"]), reverse=True)

    def _request(self, name: str) -> Any:
        arn = self.aws.acm.request_certificate(
            DomainName=name,
            ValidationMethod="DNS",
            IdempotencyToken=hashlib.sha256(f"{self.api.id} {name}".encode()).hexdigest()[:32],
            Tags=self.service.tag_list,
        )["CertificateArn"]
        told: list[Any] = []

        def record_is_told() -> bool:
            """Some seconds later."""
            told[:] = [self.aws.acm.describe_certificate(CertificateArn=arn)["Certificate"]]
            return any("ResourceRecord" in one for one in told[0].get("DomainValidationOptions", []))

        self.aws.wait(f"making a certificate for {name}", record_is_told)
        return told[0]

    def _validated(self, certificate: Any, zone: str) -> bool:
        """Whether ACM has seen the record that proves whose name it is; where we can make it, it is made."""
        record = _validation(certificate)
        if not zone:
            self.waiting = [
                "for ACM to issue the certificate, this DNS record (no proxy before it), wherever your DNS is:",
                f"  {record['Name']}  CNAME  {record['ResourceRecords'][0]['Value']}",
            ]
            return False
        self.zone(zone).put([record])
        asked = dns.name_servers(zone)
        if not self.zone(zone).is_delegated(asked):  # waiting for ACM would be in vain
            theirs, ours = ", ".join(sorted(asked or ())), ", ".join(sorted(self.zone(zone).name_servers))
            self.waiting = [
                f"for {zone} to be delegated to Route 53; its name servers are {theirs or 'none'}.",
                f"Where {zone} is registered, set them to: {ours}",
            ]
            return False
        deadline = self.aws.clock() + ISSUE_S
        while not self._issued(certificate["CertificateArn"]):
            if self.aws.clock() >= deadline:
                self.waiting = ["for ACM to issue the certificate: its DNS record is in place"]
                return False
            self.aws.sleep(5)
        return True

    def _issued(self, arn: str) -> bool:
        now: Any = self.aws.acm.describe_certificate(CertificateArn=arn)["Certificate"]
        if now["Status"] not in USABLE:
            raise Problem(
                f"ACM did not issue a certificate for {now['DomainName']}: {now['Status']}, "
                f"{now.get('FailureReason', 'no reason given')}.",
                "Correct what it names and run ./deploy.sh again. The service itself is live.",
            )
        return bool(now["Status"] == "ISSUED")

    def _target(self, name: str) -> State:
        """What the name must lead to; empty when API Gateway has no such domain. Raises Problem when it is not ours."""
        with absent_is_none("NotFoundException"):
            found = self.aws.apigatewayv2.get_domain_name(DomainName=name)
            if not self.service.tags.items() <= found.get("Tags", {}).items():
                raise Problem(
                    f"API Gateway has a domain {name} already that was not made by this tool, or by another stage.",
                    "Choose another name under [domain] in deploy.toml, or remove it.",
                )
            return {**found["DomainNameConfigurations"][0]}
        return {}

    def _make(self, name: str, certificate: str) -> State:
        made = self.aws.apigatewayv2.create_domain_name(
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

    def _mappings(self, name: str) -> list[Any]:
        return [*self.aws.apigatewayv2.get_api_mappings(DomainName=name)["Items"]]

    def _unmap(self, name: str) -> None:
        for mapping in self._mappings(name):
            self.aws.apigatewayv2.delete_api_mapping(DomainName=name, ApiMappingId=mapping["ApiMappingId"])

    def _leads_there(self, name: str, zone: str, target: State) -> bool:
        if zone:
            hosted = self._hosted(zone)
            there = hosted.records(name) if hosted else []
            return all(record in there for record in _aliases(name, target))
        here, aim = dns.addresses(name), dns.addresses(target["ApiGatewayDomainName"])
        return here is None or aim is None or bool(here & aim)

    def _hosted(self, zone: str) -> HostedZone | None:
        """None when it is gone since: then there are no records of ours, and nothing to take down."""
        with suppress(Problem):
            return self.zone(zone) if zone else None
        return None

    def _point(self, name: str, zone: str, target: State) -> None:
        for record in self.zone(zone).records(name):
            alias = record.get("AliasTarget", {}).get("DNSName", "")
            if record["Type"] in ("A", "AAAA", "CNAME") and ".execute-api." not in alias:
                raise Problem(
                    f"{name} leads somewhere else already: there is a record of type {record['Type']} in {zone}.",
                    "Delete that record, or choose another name under [domain] in deploy.toml.",
                )
        self.zone(zone).put(_aliases(name, target))

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


def _validation(certificate: Any) -> Record:
    """The record that proves to ACM whose name it is."""
    told = certificate["DomainValidationOptions"][0]["ResourceRecord"]
    return {"Name": told["Name"], "Type": "CNAME", "TTL": 300, "ResourceRecords": [{"Value": told["Value"]}]}


def _aliases(name: str, target: State) -> list[Record]:
    alias = {
        "HostedZoneId": target["HostedZoneId"],
        "DNSName": f"{target['ApiGatewayDomainName']}.",
        "EvaluateTargetHealth": False,
    }
    return [{"Name": f"{name}.", "Type": kind, "AliasTarget": alias} for kind in ("A", "AAAA")]
