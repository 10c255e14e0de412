"""The addresses that the service may call: public ones at port 443, and those that the operator allows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

HTTPS: Final = 443
_HTTP: Final = 80
_LABEL: Final = "[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_URL: Final = re.compile(
    rf"(?P<scheme>https?)://(?P<host>\[[0-9A-Fa-f:.]{{2,45}}\]|{_LABEL}(?:\.{_LABEL})*)(?::(?P<port>[1-9][0-9]{{0,4}}))?"
    r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?"
)
PLAIN: Final = "http://"
_FORM: Final = "It has to be https://HOST or https://HOST:PORT, with or without a path."
_LONGEST_URL: Final = 2_048
_LONGEST_NAME: Final = 253
_NUMERIC: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
"""The last label of an IPv4 address, in any base that resolvers read; no host name ends like this."""

# IANA's special-purpose registries; of IPv6, all that is not in 2000::/3 is special: loopback, link-local, ULA,
# multicast, addresses of IPv4 in it (::ffff:0:0/96) and those behind NAT64 (64:ff9b::/96).
_SPECIAL: Final[tuple[Network, ...]] = tuple(
    map(
        ip_network,
        (
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
            *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15"),
            *("198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
            "168.63.129.16/32",  # a service of the Azure host, at a public address
            *("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),
        ),
    )
)
_GLOBAL_V6: Final = IPv6Network("2000::/3")
_INTERNAL: Final[tuple[Network, ...]] = tuple(
    map(
        ip_network,
        ("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7"),
    )
)
_METADATA: Final = frozenset(map(ip_address, ("100.100.100.200", "fd00:ec2::254", "fd20:ce::254")))
"""Cloud metadata services, which issue credentials, at addresses that look internal."""


class DestinationRefused(Exception):  # noqa: N818 - named like the refusals
    """The service must not call this address."""


@dataclass(frozen=True, slots=True)
class Destination:
    """The host and the port that a URL names; the host in small letters, or as an address in its usual spelling.

    `plain` is a URL of http, without TLS.
    """

    host: str
    port: int
    address: Address | None = None
    plain: bool = False


@dataclass(frozen=True, slots=True)
class Allowed:
    """The destinations that the operator allows: networks, and hosts that may be internal, each at one port.

    Those in `plain` may be called without TLS.
    """

    networks: tuple[Network, ...] = ()
    hosts: frozenset[tuple[str, int]] = frozenset()
    plain: frozenset[tuple[str, int]] = frozenset()

    @classmethod
    def of(cls, names: Iterable[str]) -> Allowed:
        """Parse the setting EGRESS_ALLOWED."""
        networks = [name for name in names if "/" in name and not name.startswith(PLAIN)]
        urls = (name if name.startswith(PLAIN) else f"https://{name}/" for name in names if name not in networks)
        hosts = [webhook_destination_of(url) for url in urls]
        return cls(
            tuple(map(ip_network, networks)),
            frozenset((each.host, each.port) for each in hosts),
            frozenset((each.host, each.port) for each in hosts if each.plain),
        )

    def permits(self, destination: Destination, address: Address) -> bool:
        """Say whether the service may call this host at this address, one of those that the host resolves to."""
        if any(address in network for network in self.networks):
            return True
        if (destination.host, destination.port) in self.hosts and _internal(address):
            return True
        return _public(address)


def destination_of(url: str) -> Destination:
    """Parse an https URL, or raise DestinationRefused for any other form."""
    destination = webhook_destination_of(url)
    if destination.plain:
        raise DestinationRefused(_FORM)
    return destination


def webhook_destination_of(url: str) -> Destination:
    """Parse an https or http URL, or raise DestinationRefused for any other form."""
    found = _URL.fullmatch(url) if len(url) <= _LONGEST_URL else None
    if found is None:
        raise DestinationRefused(_FORM)
    plain = found["scheme"] == "http"
    host, port = found["host"].lower(), int(found["port"] or (_HTTP if plain else HTTPS))
    if port > 65_535 or len(host) > _LONGEST_NAME:
        raise DestinationRefused("Its host or its port is out of range.")
    address = _address_in(host)
    return Destination(host if address is None else str(address), port, address, plain)


def refuse_closed_port(destination: Destination, allowed: Allowed) -> None:
    """Raise DestinationRefused for http, or a port other than 443, unless the operator allows it for this host."""
    if destination.plain and (destination.host, destination.port) not in allowed.plain:
        raise DestinationRefused("It has to be https.")
    if destination.port != HTTPS and (destination.host, destination.port) not in allowed.hosts:
        raise DestinationRefused(f"Port {destination.port} is not allowed.")


def vetted(destination: Destination, found: Sequence[str], allowed: Allowed) -> tuple[Address, ...]:
    """Return the addresses that a host resolves to, or raise DestinationRefused if one of them must not be called."""
    addresses = tuple(dict.fromkeys(map(_address, found)))
    if not addresses or not all(allowed.permits(destination, address) for address in addresses):
        raise DestinationRefused("Its host is, or resolves to, an address that is not allowed.")
    return addresses


def _address_in(host: str) -> Address | None:
    """Return the address if the host is one; refuse other spellings, such as 127.1 or 0x7f000001."""
    try:
        return IPv6Address(host[1:-1]) if host.startswith("[") else IPv4Address(host)
    except ValueError:
        if host.startswith("[") or _NUMERIC.fullmatch(host.rpartition(".")[2]):
            raise DestinationRefused("Its host is an address in an unusual spelling.") from None
    return None


def _address(text: str) -> Address:
    if "%" in text:
        raise DestinationRefused("Its host resolves to an address with a zone.")
    return ip_address(text)


def _public(address: Address) -> bool:
    if any(address in network for network in _SPECIAL):
        return False
    return isinstance(address, IPv4Address) or address in _GLOBAL_V6


def _internal(address: Address) -> bool:
    return address not in _METADATA and any(address in network for network in _INTERNAL)
