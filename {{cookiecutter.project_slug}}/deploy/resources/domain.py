"""The domain of the service: a certificate, a custom domain name of API Gateway, and the DNS records that lead to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from deploy import dns
from deploy.errors import DeployError
from deploy.iam import Statement, allow
from deploy.resource import Check, Cost, Outputs, Phase, Prices, Resource
from deploy.resources.certificate import (
    ISSUED,
    Certificate,
    Certificates,
    validation_record,
)
from deploy.resources.domain_name import DomainName
from deploy.resources.hosted_zone import (
    HostedZone,
    alias_records,
    find_zone,
    require_zone,
)
from deploy.resources.http_api import HttpApi, gateway_arn
from deploy.stage import Stage
from deploy.state import Reference, State, differences, resolve

if TYPE_CHECKING:
    from deploy.release import Live

PREVIEWS = "pr-*"  # previews have no domain, because a name leads to one stage only
CONNECTED = "leads to the API"


class Connection(NamedTuple):
    """The API, and what its tags contain: the name and the hosted zone that it was connected to, or empty strings."""

    api_id: str
    name: str
    hosted_zone: str


class Domain(Resource):
    """The domain, if deploy.toml has a [domain] table. Without a hosted zone, the user creates the DNS records.

    The tags of the API contain the name and its hosted zone, so that the domain can be removed once deploy.toml does not
    contain it any more.
    """

    kind = "domain"
    has_tags = True
    phase = Phase.AFTER_CHECK

    def __init__(self, stage: Stage, api: HttpApi) -> None:
        super().__init__(stage)
        self._api = api
        self._connected_name = ""  # in the tags of the API, when they were last read or changed

    @property
    def name(self) -> str:
        return self._connected_name or (self.config.domain.name if self.config.domain else "")

    @property
    def step_title(self) -> str:
        return f"Connecting {self.config.domain.name}" if self.config.domain else f"Removing {self.name}"

    def desired(self) -> State | None:
        if self.config.domain is None:
            return None
        return {
            "name": self.config.domain.name,
            "hosted_zone": self.config.domain.hosted_zone,
            "certificate": ISSUED,
            "api": Reference("http_api.id"),
            "dns": CONNECTED,
        }

    def read(self) -> State | None:
        connection = self._read_connection()
        if connection is None or not connection.name:
            return None
        api_id, name, hosted_zone = connection
        domain_name, certificates = DomainName(self.stage, name), Certificates(self.stage, name).read()
        target = domain_name.read()
        state: State = {
            "name": name,
            "hosted_zone": hosted_zone,
            "certificate": certificates[0]["Status"] if certificates else None,
            "api": api_id if target and api_id in domain_name.mapped_apis() else None,
            "dns": CONNECTED if target and self._leads_to(target, name, hosted_zone) else None,
        }
        tags = [*(certificate["tags"] for certificate in certificates), *([target["tags"]] if target else [])]
        if tags:  # those that have to change, if any
            state["tags"] = next((part for part in tags if self.stage.tag_changes(part)), tags[0])
        return state

    def outputs(self, state: State | None) -> Outputs:
        """Return the public URL if every part of the connection is complete."""
        desired = self.desired()
        if desired is None or state is None or not state["api"]:
            return {}
        is_complete = not differences(resolve(desired, {"http_api.id": state["api"]}), state)
        return {"public_url": f"https://{state['name']}/"} if is_complete else {}

    def _read_connection(self) -> Connection | None:
        """Return the connection that an earlier deploy started, or None before the API exists."""
        apis = self._api.find()
        if not apis:
            return None
        tags = apis[0]["Tags"]
        self._connected_name = tags.get("domain", "")
        return Connection(apis[0]["ApiId"], self._connected_name, tags.get("hosted-zone", ""))

    def create(self, desired: State) -> Outputs:
        return self.update(desired)

    def update(self, changed: State) -> Outputs:
        """Do every step that is not done yet, up to the first one that has to wait, see `waiting_for`."""
        previous = self._read_connection()
        if previous is None:
            raise DeployError(f"{self.stage.name} has no HTTP API any more.", "Run ./deploy.sh again to create it.")
        api_id = changed.get("api", previous.api_id)
        name = changed.get("name", previous.name)
        hosted_zone = changed.get("hosted_zone", previous.hosted_zone)
        zone = require_zone(self.stage, hosted_zone) if hosted_zone else None  # before anything is changed
        if (name, hosted_zone) != (previous.name, previous.hosted_zone):
            if previous.name:
                self.delete()
            self._remember(Connection(api_id, name, hosted_zone))
        certificates, domain_name = Certificates(self.stage, name), DomainName(self.stage, name)
        certificate = certificates.find_or_request(api_id)
        self.waiting_for = self._validate(certificates, certificate, zone)
        if self.waiting_for:
            return {}
        target = domain_name.read() or domain_name.create(certificate["CertificateArn"])
        domain_name.map_to(api_id)
        self.waiting_for = self._point(target, name, zone)
        return {} if self.waiting_for else {"public_url": f"https://{name}/"}

    def _validate(self, certificates: Certificates, certificate: Certificate, zone: HostedZone | None) -> list[str]:
        """Create the record that validates the certificate, and wait for ACM. Return what to wait for, if anything."""
        record = validation_record(certificate)
        if certificate["Status"] == ISSUED or record is None:
            return []
        if zone is None:
            return [
                "Create this DNS record (not proxied), so that ACM can issue the certificate:",
                f"  {record['Name']}  CNAME  {record['ResourceRecords'][0]['Value']}",
            ]
        zone.put([record])
        if not zone.is_delegated:  # ACM cannot find the record
            public = ", ".join(sorted(zone.public_name_servers or ()))
            return [
                f"{zone.name} is not delegated to Route 53: its name servers are {public or 'none'}.",
                f"Set them, where {zone.name} is registered, to: {', '.join(sorted(zone.name_servers))}",
            ]
        if certificates.wait_until_issued(certificate["CertificateArn"]):
            return []
        return ["ACM has not issued the certificate yet. Its DNS record exists."]

    def _point(self, target: State, name: str, zone: HostedZone | None) -> list[str]:
        """Create the records that lead to the API. Return what to wait for, if anything."""
        if zone is None:
            if self._leads_to(target, name, ""):
                return []
            return [
                f"Create this DNS record (not proxied; at the apex of a zone, ALIAS or ANAME), so that {name} leads here:",
                f"  {name}  CNAME  {target['ApiGatewayDomainName']}",
            ]
        for record in zone.records(name):
            alias = record.get("AliasTarget", {}).get("DNSName", "")
            if record["Type"] in ("A", "AAAA", "CNAME") and ".execute-api." not in alias:
                raise DeployError(
                    f"{name} already has a DNS record of type {record['Type']} in {zone.name}, which leads elsewhere.",
                    "Delete that record, or choose another name under [domain] in deploy.toml.",
                )
        zone.put(alias_records(name, target))
        return []

    def _leads_to(self, target: State, name: str, hosted_zone: str) -> bool:
        """Return True if DNS leads to the API, or if DNS cannot be queried from here."""
        if hosted_zone:
            zone = find_zone(self.stage, hosted_zone)
            return zone is not None and all(zone.contains(record) for record in alias_records(name, target))
        current, expected = dns.addresses(name), dns.addresses(target["ApiGatewayDomainName"])
        return current is None or expected is None or bool(current & expected)

    def delete(self) -> None:
        connection = self._read_connection()
        if connection is None or not connection.name:
            return
        domain_name, certificates = DomainName(self.stage, connection.name), Certificates(self.stage, connection.name)
        target, requested = domain_name.read(), certificates.read()
        zone = find_zone(self.stage, connection.hosted_zone) if connection.hosted_zone else None
        if zone:  # else somebody deleted it, with its records
            records = [record for certificate in requested if (record := validation_record(certificate))]
            zone.remove(records + (alias_records(connection.name, target) if target else []))
        if target:
            domain_name.delete()
        for certificate in requested:
            certificates.delete(certificate["CertificateArn"])
        arn = gateway_arn(self.stage, f"/apis/{connection.api_id}")
        self.stage.client("apigatewayv2").untag_resource(ResourceArn=arn, TagKeys=["domain", "hosted-zone"])
        self._api.forget()

    def add_tags(self, tags: Mapping[str, str]) -> None:
        Certificates(self.stage, self.name).add_tags(tags)
        DomainName(self.stage, self.name).add_tags(tags)

    def remove_tags(self, keys: Sequence[str]) -> None:
        Certificates(self.stage, self.name).remove_tags(keys)
        DomainName(self.stage, self.name).remove_tags(keys)

    def tag_permissions(self) -> list[Statement]:
        """Leave out those for the tags of the domain name, which the HTTP API has already."""
        if self.config.domain is None or self.config.stage == PREVIEWS:
            return []
        return Certificates(self.stage, self.config.domain.name).tag_permissions()

    def _remember(self, connection: Connection) -> None:
        """Write the connection to the tags of the API."""
        arn = gateway_arn(self.stage, f"/apis/{connection.api_id}")
        tags = {"domain": connection.name, "hosted-zone": connection.hosted_zone}
        self.stage.client("apigatewayv2").tag_resource(ResourceArn=arn, Tags=tags)
        self._connected_name = connection.name
        self._api.forget()

    def deploy_permissions(self) -> list[Statement]:
        """Include what removes the domain: a deploy does that once deploy.toml does not contain it any more."""
        domain = self.config.domain
        if domain is None or self.config.stage == PREVIEWS:
            return []
        statements = [
            *Certificates(self.stage, domain.name).permissions(),
            *DomainName(self.stage, domain.name).permissions(),
            allow("apigateway", "DELETE", gateway_arn(self.stage, "/tags/*")),
        ]
        return statements + (require_zone(self.stage, domain.hosted_zone).permissions() if domain.hosted_zone else [])

    def fixed_costs(self, prices: Prices, *, versions: int) -> list[Cost]:
        zone = self.config.domain.hosted_zone if self.config.domain else ""
        return [Cost(f"the hosted zone {zone}", prices["route_53"]["hosted_zone"])] if zone else []

    def checks(self) -> list[Check]:
        return [Check("domain", self._check_delegation)]

    def _check_delegation(self) -> str:
        domain = self.config.domain
        if domain is None:
            return "not set"
        if not domain.hosted_zone:
            return f"{domain.name}, whose DNS records you create yourself"
        zone = require_zone(self.stage, domain.hosted_zone)
        if not zone.is_delegated:
            raise DeployError(
                f"{zone.name} is not delegated to Route 53.",
                f"Set its name servers, where it is registered, to: {', '.join(sorted(zone.name_servers))}",
            )
        return f"{domain.name}, delegated to Route 53"

    def status(self, live: Live) -> list[tuple[str, str]]:
        state = self.read()
        if state is None:
            return []
        is_connected = bool(self.outputs(state))
        text = "is connected" if is_connected else f"is not connected yet: run {self.stage.command}"
        return [("domain", f"{state['name']} {text}")]
