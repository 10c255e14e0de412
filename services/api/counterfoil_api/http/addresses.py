"""Where a request comes from, as far as it can be believed: proxies that were named may say for whom they ask."""

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
"""What stands for peers on a unix socket, which have no address, among the trusted ones."""
_MOST_HOPS: Final = 32
"""No honest chain is longer; whoever sends more of them does not have us read on."""


def client_of(request: web.Request) -> Address | None:
    """The client's address, as the edge found it; None where there is none, as on a unix socket."""
    return request[CLIENT] if CLIENT in request else address_of(request.remote or "")


def address_of(text: str) -> Address | None:
    """The address that a text names, in its one form, or None."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if address.version == 4:
        return address
    # An IPv4 client on a socket for both is ::ffff:192.0.2.1, and is the same client.
    return address.ipv4_mapped or ipaddress.IPv6Address(int(address))


class Proxies:
    """The peers whose word about their own peer is taken: networks in CIDR form, and perhaps the word `unix`."""

    def __init__(self, trusted: Iterable[str] = ()) -> None:
        named = frozenset(trusted)
        self._socket = SOCKET in named
        self._warned = False
        self._networks = tuple(ipaddress.ip_network(each) for each in named - {SOCKET})

    def client_of(self, request: web.Request) -> Address | None:
        """The nearest peer that is no proxy of ours."""
        peer = address_of(request.remote or "")
        if not self._trusts(peer):
            if not self._warned and FORWARDED in request.headers:
                self._warned = True
                log.warning("forwarded_not_believed", peer=network_of(peer), what_to_do="see TRUSTED_PROXIES")
            return peer
        return self.client(peer, request.headers.getall(FORWARDED, ()))

    def client(self, peer: Address | None, forwarded: Sequence[str]) -> Address | None:
        """The client behind a peer that forwards for this chain.

        Every proxy adds at the right whom it was asked by; what stands further left may be anybody's invention. So the
        chain is walked from the right, past proxies of ours, and what cannot be read ends the walk.
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
    """One element of the chain; some proxies write the port, too."""
    if text.startswith("["):
        text, _, port = text[1:].partition("]")
        return address_of(text) if not port or port[0] == ":" else None
    return address_of(text.partition(":")[0] if text.count(":") == 1 else text)


@lru_cache(maxsize=10_000)
def network_of(address: Address | None) -> str:
    """The network that a client is one of many in: what one household, office or server has to itself, or nearly."""
    return _around(address, 64)


@lru_cache(maxsize=10_000)
def site_of(address: Address | None) -> str:
    """The network that a client could have 65,536 networks in, where addresses are plenty."""
    return _around(address, 48)


def _around(address: Address | None, bits: int) -> str:
    if address is None:
        return SOCKET
    return str(ipaddress.ip_network((address, 24 if address.version == 4 else bits), strict=False))
