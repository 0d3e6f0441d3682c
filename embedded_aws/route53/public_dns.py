"""Public DNS: the delegated hosted zones of Route 53, and records at other DNS providers."""

from typing import Any

from moto.route53.models import route53_backends


class PublicDns:
    """The DNS records that the public can see.

    `delegated` holds the names of the zones whose registrar points to Route 53. `elsewhere` holds the records at other
    providers by name and type.
    """

    def __init__(self, account: str) -> None:
        self.delegated: set[str] = set()
        self.elsewhere: dict[tuple[str, str], str] = {}
        self._account = account

    def name_servers(self, zone: str) -> set[str]:
        """Return the name servers of a zone, or an empty set if it does not exist."""
        if zone in self.delegated:
            return {server for hosted_zone in self._zones(zone) for server in hosted_zone.delegation_set.name_servers}
        return (
            {"ns1.elsewhere.example"} if any(f".{name}".endswith(f".{zone}") for name, _ in self.elsewhere) else set()
        )

    def resolve(self, name: str, kind: str) -> str | None:
        """Return the value of a record, or the target of an alias record, without the final dot."""
        name = name.rstrip(".")
        for zone in self.delegated:
            for hosted_zone in self._zones(zone):
                for record in hosted_zone.rrsets:
                    if record.name.rstrip(".") == name and record.type == kind:
                        value = record.alias_target["DNSName"] if record.alias_target else record.records[0]
                        return str(value).rstrip(".")
        return self.elsewhere.get((name, kind))

    def addresses(self, name: str) -> set[str]:
        """Return the target of the name's record, or an API's own name, in place of its IP addresses.

        Return an empty set if the name does not resolve.
        """
        target = self.resolve(name, "A") or self.resolve(name, "CNAME")
        if target:
            return {target}
        return {name} if ".execute-api." in name else set()

    def _zones(self, name: str) -> list[Any]:
        """Return the public hosted zones with this name."""
        zones = route53_backends[self._account]["aws"].zones.values()
        return [zone for zone in zones if zone.name.rstrip(".") == name and not zone.private_zone]
