"""The networks from which a token may be used, and how often; without a bound the token has no such limit."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final
from uuid import UUID

import msgspec

from counterfoil.core.duration import seconds
from counterfoil.core.refusals import BadDuration, BadNetwork, BadQuota, BadRateLimit, Refusal

NETWORK_LIMIT: Final = 100
QUOTA_LIMIT: Final = 1_000_000_000
"""The largest number of uses, or of tokens, that a quota may state."""
_RATE: Final = re.compile(r"([1-9][0-9]{0,8})/(.{1,64})")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Bounds(msgspec.Struct, frozen=True):
    """Networks in CIDR form (none: anywhere), a number of calls in a time, such as 600/1m, and a number of uses in all.

    None is any number.
    """

    networks: tuple[str, ...] = ()
    rate_limit: str | None = None
    max_uses: int | None = None

    def checked(self) -> Bounds:
        """Return the bounds in canonical form, or raise BadNetwork, BadRateLimit or BadQuota."""
        return Bounds(
            checked_networks(self.networks),
            checked_rate(self.rate_limit),
            checked_number(self.max_uses, field="max_uses"),
        )

    def within(self, wider: Bounds) -> bool:
        """Say whether `wider` allows everything that these bounds allow."""
        return (
            _networks_within(self.networks, wider.networks)
            and _rate_within(self.rate_limit, wider.rate_limit)
            and _number_within(self.max_uses, wider.max_uses)
        )


UNBOUNDED: Final = Bounds()


class OwnerQuota(msgspec.Struct, frozen=True):
    """How often all tokens of one owner together may be used, and how many of them may live; `id` is the quota's own.

    None is any number.
    """

    id: UUID
    rate_limit: str | None = None
    max_uses: int | None = None
    max_tokens: int | None = None


class Limits(msgspec.Struct, frozen=True):
    """The limits that count one use of a token: the token's own, and its owner's quota."""

    rate_limit: str | None = None
    max_uses: int | None = None
    quota: OwnerQuota | None = None

    def beyond(self, counted: Limits) -> Limits:
        """Return the limits that have not counted this use yet, given those that have; no limit counts a use twice."""
        return Limits(
            None if self.rate_limit == counted.rate_limit else self.rate_limit,
            self.max_uses if counted.max_uses is None else None,
            None if self.quota == counted.quota else self.quota,
        )


UNLIMITED: Final = Limits()


class Uncounted(Refusal):
    """This call was not counted against the token's present limits. The API counts it and repeats the command."""

    def __init__(self, account: UUID, token: UUID, limits: Limits) -> None:
        self.account, self.token, self.limits = account, token, limits
        super().__init__()


def checked_networks(networks: tuple[str, ...]) -> tuple[str, ...]:
    """Return the networks in canonical form, without repeats; or raise BadNetwork."""
    if len(networks) > NETWORK_LIMIT:
        raise BadNetwork(
            f"{len(networks)} networks are too many; give at most {NETWORK_LIMIT}, for example by joining neighbours.",
            field="networks",
        )
    return tuple(dict.fromkeys(map(_canonical, networks)))


def _canonical(network: str) -> str:
    if "%" in network:  # any text may follow: a secret, or terminal control codes
        raise BadNetwork(f"A network has no zone, which is what follows a %. {BadNetwork.__doc__}", field="networks")
    try:
        canonical = str(ipaddress.ip_network(network, strict=False))
    except ValueError:
        raise BadNetwork(f"{network[:100]!r} is not a network. {BadNetwork.__doc__}", field="networks") from None
    try:
        return str(ipaddress.ip_network(network))
    except ValueError:
        meant = f"{network[:100]!r} has bits set beyond its length; did you mean {canonical}?"
        raise BadNetwork(f"{meant} {BadNetwork.__doc__}", field="networks") from None


def checked_rate(limit: str | None) -> str | None:
    """Return the rate limit as given, or raise BadRateLimit."""
    if limit is not None:
        rate(limit)
    return limit


def checked_number(number: int | None, *, field: str) -> int | None:
    """Return a number of uses or of tokens as given, or raise BadQuota."""
    if number is not None and not 1 <= number <= QUOTA_LIMIT:
        raise BadQuota(f"{number} is not a quota. {BadQuota.__doc__}", field=field)
    return number


@lru_cache(maxsize=1024)
def rate(limit: str) -> tuple[int, int]:
    """Return how many calls in how many seconds a rate limit allows, or raise BadRateLimit."""
    shape = _RATE.fullmatch(limit)
    try:
        span = seconds(shape[2]) if shape else 0
    except BadDuration:
        span = 0
    if shape is None or not span:
        raise BadRateLimit(f"{limit[:100]!r} is not a rate limit. {BadRateLimit.__doc__}", field="rate_limit")
    return int(shape[1]), span


def admits(networks: tuple[str, ...], address: Address | None) -> bool:
    """Say whether the address is in one of the networks; an unknown address (None) is in none."""
    if not networks:
        return True
    mapped = getattr(address, "ipv4_mapped", None) or address
    return mapped is not None and any(mapped in network for network in _parsed(networks))


def _networks_within(inner: tuple[str, ...], outer: tuple[str, ...]) -> bool:
    if not outer:
        return True
    return bool(inner) and all(_inside(network, _parsed(outer)) for network in _parsed(inner))


def _inside(network: Network, outer: Iterable[Network]) -> bool:
    # Not `subnet_of`: it raises if one network is IPv4 and the other IPv6.
    return any(
        network.version == each.version and network[0] in each and network.prefixlen >= each.prefixlen for each in outer
    )


def _rate_within(inner: str | None, outer: str | None) -> bool:
    """Say whether the inner rate allows neither more calls at once nor more in the long run."""
    if outer is None:
        return True
    if inner is None:
        return False
    (most, span), (most_outer, span_outer) = rate(inner), rate(outer)
    return most <= most_outer and most * span_outer <= most_outer * span


def _number_within(inner: int | None, outer: int | None) -> bool:
    return outer is None or (inner is not None and inner <= outer)


@lru_cache(maxsize=1024)
def _parsed(texts: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(network) for network in texts)
