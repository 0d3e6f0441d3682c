"""The hosted zone of Route 53 that contains the DNS records of the domain. The tool only changes its records."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from deploy import dns
from deploy.errors import DeployError
from deploy.iam import Statement, allow
from deploy.stage import Stage
from deploy.state import State

Record = dict[str, Any]  # a ResourceRecordSet of Route 53


def find_zone(stage: Stage, name: str) -> HostedZone | None:
    """Return the public hosted zone with this name, or None. If there are several, return the one that is delegated."""
    client = stage.client("route53")
    zones = [
        HostedZone(stage, name, {**client.get_hosted_zone(Id=zone["Id"])})
        for zone in client.list_hosted_zones_by_name(DNSName=name)["HostedZones"]
        if zone["Name"] == f"{name}." and not zone.get("Config", {}).get("PrivateZone")
    ]
    if len(zones) < 2:
        return zones[0] if zones else None
    public = dns.name_servers(name) or set()
    return max(zones, key=lambda zone: len(public & zone.name_servers))


def require_zone(stage: Stage, name: str) -> HostedZone:
    """Return the public hosted zone with this name. Raise DeployError if it does not exist."""
    zone = find_zone(stage, name)
    if zone is None:
        raise DeployError(
            f"Route 53 has no public hosted zone {name}.",
            "Correct hosted_zone in deploy.toml, or remove it to create the DNS records yourself.",
        )
    return zone


class HostedZone:
    """A hosted zone; `response` is that of GetHostedZone."""

    def __init__(self, stage: Stage, name: str, response: State) -> None:
        self.stage = stage
        self.name = name
        self.id: str = response["HostedZone"]["Id"]
        self.name_servers = {server.lower() for server in response["DelegationSet"]["NameServers"]}

    @cached_property
    def public_name_servers(self) -> set[str] | None:
        """The name servers that the public DNS returns for the zone, or None if DNS cannot be queried from here."""
        return dns.name_servers(self.name)

    @property
    def is_delegated(self) -> bool:
        """False if the public DNS asks other name servers, so that the records of this zone have no effect."""
        return self.public_name_servers is None or bool(self.public_name_servers & self.name_servers)

    def records(self, name: str) -> list[Record]:
        """Return the records of a name."""
        response = self.stage.client("route53").list_resource_record_sets(
            HostedZoneId=self.id, StartRecordName=name, MaxItems="20"
        )
        return [
            {**record} for record in response["ResourceRecordSets"] if record["Name"].rstrip(".") == name.rstrip(".")
        ]

    def contains(self, record: Record) -> bool:
        """Return True if the zone contains exactly this record."""
        return record in self.records(record["Name"])

    def put(self, records: list[Record]) -> None:
        """Create or overwrite these records."""
        self._change("UPSERT", [record for record in records if not self.contains(record)])

    def remove(self, records: list[Record]) -> None:
        """Delete these records, except those that somebody else changed."""
        self._change("DELETE", [record for record in records if self.contains(record)])

    def _change(self, action: Any, records: list[Record]) -> None:
        if records:
            changes: Any = [{"Action": action, "ResourceRecordSet": record} for record in records]
            self.stage.client("route53").change_resource_record_sets(
                HostedZoneId=self.id, ChangeBatch={"Changes": changes}
            )

    def permissions(self) -> list[Statement]:
        """Return the statements that a deploy needs to change records of this zone."""
        arn = self.stage.arn("route53", self.id.strip("/"), region=False, account=False)
        return [
            allow("route53", "ListHostedZonesByName", "*"),
            allow("route53", "ChangeResourceRecordSets GetHostedZone ListResourceRecordSets", arn),
        ]


def alias_records(name: str, target: State) -> list[Record]:
    """Return the records that lead to a custom domain name of API Gateway; `target` is its DomainNameConfiguration."""
    alias = {
        "HostedZoneId": target["HostedZoneId"],
        "DNSName": f"{target['ApiGatewayDomainName']}.",
        "EvaluateTargetHealth": False,
    }
    return [{"Name": f"{name}.", "Type": record_type, "AliasTarget": alias} for record_type in ("A", "AAAA")]
