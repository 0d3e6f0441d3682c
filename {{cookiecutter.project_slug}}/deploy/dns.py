"""What public DNS says, as far as it decides whether waiting for AWS makes sense."""

import dns.resolver
from dns.exception import DNSException
from dns.resolver import NXDOMAIN, NoAnswer, NoNameservers


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
