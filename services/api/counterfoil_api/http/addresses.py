"""The address of a request's client; trusted proxies may state it in X-Forwarded-For."""

import ipaddress
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

import structlog
from aiohttp import web

log = structlog.get_logger()

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

CLIENT: web.RequestKey[Address | None] = web.RequestKey("client", object)  # type: ignore[arg-type] # a union is no class

FORWARDED: Final = "X-Forwarded-For"
SOCKET: Final = "unix"
"""The name of peers on a unix socket, which have no address, among the trusted proxies."""
_MOST_HOPS: Final = 32
"""Elements of the chain that are read at most; no real chain is longer."""


def client_of(request: web.Request) -> Address | None:
    """Return the client's address, as the outer layer determined it; None where there is none, as on a unix socket."""
    return request[CLIENT] if CLIENT in request else address_of(request.remote or "")


def address_of(text: str) -> Address | None:
    """Return the address that a text states, in its canonical form, or None."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if address.version == 4:
        return address
    # An IPv4 client on a socket for both is ::ffff:192.0.2.1, and is the same client.
    return address.ipv4_mapped or ipaddress.IPv6Address(int(address))


class Proxies:
    """The trusted proxies: networks in CIDR form, and perhaps the word `unix`."""

    def __init__(self, trusted: Iterable[str] = ()) -> None:
        names = frozenset(trusted)
        self._socket = SOCKET in names
        self._warned = False
        self._networks = tuple(ipaddress.ip_network(each) for each in names - {SOCKET})

    def client_of(self, request: web.Request) -> Address | None:
        """Return the nearest peer that is not a trusted proxy."""
        peer = address_of(request.remote or "")
        if not self._trusts(peer):
            if not self._warned and FORWARDED in request.headers:
                self._warned = True
                log.warning("forwarded_not_believed", peer=network_of(peer), what_to_do="see TRUSTED_PROXIES")
            return peer
        return self.client(peer, request.headers.getall(FORWARDED, ()))

    def client(self, peer: Address | None, forwarded: Sequence[str]) -> Address | None:
        """Return the client behind a peer that sent this chain.

        Every proxy appends the address of its own peer at the right; elements further left may be forged. So the chain
        is read from the right, past trusted proxies, until an element is malformed.
        """
        hops = ",".join(forwarded).rsplit(",", _MOST_HOPS)
        for text in reversed(hops[-_MOST_HOPS:]):
            if not self._trusts(peer) or (hop := _hop(text.strip(" \t"))) is None:
                break
            peer = hop
        return peer

    def _trusts(self, peer: Address | None) -> bool:
        if peer is None:
            return self._socket
        return any(peer in network for network in self._networks)


def _hop(text: str) -> Address | None:
    """Read one element of the chain; some proxies add the port."""
    if text.startswith("["):
        text, _, port = text[1:].partition("]")
        return address_of(text) if not port or port[0] == ":" else None
    return address_of(text.partition(":")[0] if text.count(":") == 1 else text)


@lru_cache(maxsize=10_000)
def network_of(address: Address | None) -> str:
    """Return the network of a client, which usually belongs to one household, office or server."""
    return _network(address, 64)


@lru_cache(maxsize=10_000)
def site_of(address: Address | None) -> str:
    """Return the site of a client: with IPv6, one client may have the 65,536 networks of a site."""
    return _network(address, 48)


def _network(address: Address | None, bits: int) -> str:
    if address is None:
        return SOCKET
    return str(ipaddress.ip_network((address, 24 if address.version == 4 else bits), strict=False))
