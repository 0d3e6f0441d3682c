"""DNS: what the public is told, and the hosted zone of Route 53 where we can say it."""

from typing import Any

import dns.resolver
from dns.exception import DNSException
from dns.resolver import NXDOMAIN, NoAnswer, NoNameservers

from deploy.aws import Aws
from deploy.problem import Problem

Record = dict[str, Any]


def name_servers(zone: str) -> set[str] | None:
    """The servers that the zone is delegated to: none when it is not; None when DNS cannot be asked from here."""
    return _ask(zone, "NS")


def addresses(name: str) -> set[str] | None:
    """The IPv4 addresses that this name leads to, likewise."""
    return _ask(name, "A")


def _ask(name: str, kind: str) -> set[str] | None:
    try:
        return {str(record).rstrip(".").lower() for record in dns.resolver.resolve(name, kind)}
    except (NXDOMAIN, NoAnswer, NoNameservers):
        return set()
    except DNSException:
        return None


class HostedZone:
    """The public hosted zone of this name; of several, the one that is delegated. Raises Problem when there is none."""

    def __init__(self, aws: Aws, name: str) -> None:
        found = aws.route53.list_hosted_zones_by_name(DNSName=name)["HostedZones"]
        public = [one for one in found if one["Name"] == f"{name}." and not one.get("Config", {}).get("PrivateZone")]
        zones = [aws.route53.get_hosted_zone(Id=one["Id"]) for one in public]
        if not zones:
            raise Problem(
                f"There is no public hosted zone {name} in Route 53.",
                "Correct hosted_zone in deploy.toml, or leave it out to make the DNS records yourself.",
            )
        asked = (name_servers(name) or set()) if len(zones) > 1 else set()
        zone = max(zones, key=lambda one: len(asked & set(one["DelegationSet"]["NameServers"])))
        self.aws = aws
        self.id = zone["HostedZone"]["Id"]
        self.name_servers = {server.lower() for server in zone["DelegationSet"]["NameServers"]}

    def is_delegated(self, asked: set[str] | None) -> bool:
        """Whether these name servers, which public DNS names, are its own; where it cannot be asked, nothing speaks
        against it."""
        return asked is None or bool(asked & self.name_servers)

    def records(self, name: str) -> list[Record]:
        """Those of this name, as Route 53 holds them."""
        found = self.aws.route53.list_resource_record_sets(HostedZoneId=self.id, StartRecordName=name, MaxItems="20")
        return [{**one} for one in found["ResourceRecordSets"] if one["Name"].rstrip(".") == name.rstrip(".")]

    def put(self, records: list[Record]) -> None:
        self._change("UPSERT", [record for record in records if record not in self.records(record["Name"])])

    def remove(self, records: list[Record]) -> None:
        """Those that are there just so; what somebody has changed since is theirs."""
        self._change("DELETE", [record for record in records if record in self.records(record["Name"])])

    def _change(self, action: Any, records: list[Record]) -> None:
        if records:
            changes: Any = [{"Action": action, "ResourceRecordSet": record} for record in records]
            self.aws.route53.change_resource_record_sets(HostedZoneId=self.id, ChangeBatch={"Changes": changes})
