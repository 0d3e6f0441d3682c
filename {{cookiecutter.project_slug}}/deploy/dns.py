"""Look-ups in the public DNS."""

from __future__ import annotations

import dns.resolver
from dns.exception import DNSException
from dns.resolver import NXDOMAIN, NoAnswer, NoNameservers


def name_servers(zone: str) -> set[str] | None:
    """Return the name servers of a zone, or an empty set if it has none, or None if DNS cannot be queried from here."""
    return _look_up(zone, "NS")


def addresses(name: str) -> set[str] | None:
    """Return the IPv4 addresses of a name, or an empty set if it has none, or None if DNS cannot be queried from here."""
    return _look_up(name, "A")


def _look_up(name: str, record_type: str) -> set[str] | None:
    try:
        return {str(record).rstrip(".").lower() for record in dns.resolver.resolve(name, record_type)}
    except (NXDOMAIN, NoAnswer, NoNameservers):
        return set()
    except DNSException:
        return None
