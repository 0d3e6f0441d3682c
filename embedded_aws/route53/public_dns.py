"""Public DNS as AWS sees it: Route 53's zones once they are delegated, and records that are kept elsewhere."""

from typing import Any

from moto.route53.models import route53_backends


class PublicDns:
    """`delegated` names the zones whose registrar points to Route 53; `elsewhere` maps (name, type) to a value."""

    def __init__(self, account: str) -> None:
        self.delegated: set[str] = set()
        self.elsewhere: dict[tuple[str, str], str] = {}
        self._account = account

    def name_servers(self, zone: str) -> set[str]:
        """The servers that answer for a zone."""
        if zone in self.delegated:
            return {server for held in self._zones(zone) for server in held.delegation_set.name_servers}
        return {"ns1.elsewhere.example"} if any(name.endswith(zone) for name, _ in self.elsewhere) else set()

    def resolve(self, name: str, kind: str) -> str | None:
        """The value of a record, without the final dot; of an alias record, the name that it leads to."""
        name = name.rstrip(".")
        for zone in self.delegated:
            for held in self._zones(zone):
                for record in held.rrsets:
                    if record.name.rstrip(".") == name and record.type == kind:
                        value = record.alias_target["DNSName"] if record.alias_target else record.records[0]
                        return str(value).rstrip(".")
        return self.elsewhere.get((name, kind))

    def addresses(self, name: str) -> set[str]:
        """What stands for the addresses a name leads to: the name itself where no record leads on."""
        target = self.resolve(name, "A") or self.resolve(name, "CNAME")
        return {target or name} if target or ".execute-api." in name else set()

    def _zones(self, name: str) -> list[Any]:
        zones = route53_backends[self._account]["aws"].zones.values()
        return [zone for zone in zones if zone.name.rstrip(".") == name and not zone.private_zone]
