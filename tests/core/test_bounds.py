"""Bounds: from where and how often a token may be used; a child's bounds are never wider than its caller's."""

import ipaddress
from typing import Any
from uuid import UUID

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import replace

from core import histories, user_fixtures
from core.histories import ADMIN, CREATED, ITSELF, NEXT, SECRET, TOKEN, command_of
from core.test_decide_exchange import exchange
from counterfoil.core.bounds import (
    NETWORK_LIMIT,
    QUOTA_LIMIT,
    UNBOUNDED,
    UNLIMITED,
    Bounds,
    Limits,
    OwnerQuota,
    Uncounted,
    admits,
    checked_networks,
    checked_number,
    checked_rate,
    rate,
)
from counterfoil.core.principal import Principal, refuse_beyond_bounds
from counterfoil.core.refusals import (
    BadNetwork,
    BadQuota,
    BadRateLimit,
    BeyondCaller,
    TokenNetworkForbidden,
    UsesExhausted,
)
from counterfoil.core.secret import mint
from counterfoil.core.subjects.token.acceptance import Context, used_up
from counterfoil.core.subjects.token.commands import Create, Renew, Resume, Rotate, Update
from counterfoil.core.subjects.token.events import Suspended, Updated
from counterfoil.core.subjects.user import decide as decide_user

OFFICE = Bounds(("192.0.2.0/24", "2001:db8::/32"), "600/1m")
HELD = replace(CREATED, networks=OFFICE.networks, rate_limit=OFFICE.rate_limit)
INSIDE, OUTSIDE = ipaddress.ip_address("192.0.2.7"), ipaddress.ip_address("198.51.100.7")


def bounded(bounds: Bounds = OFFICE, by: Principal = ADMIN) -> Principal:
    return replace(by, bounds=bounds)


def test_networks_are_stored_in_canonical_form() -> None:
    assert checked_networks(("192.0.2.0/24", "2001:DB8::/32", "192.0.2.0/24", "198.51.100.7")) == (
        "192.0.2.0/24", "2001:db8::/32", "198.51.100.7/32",
    )  # fmt: skip


@pytest.mark.parametrize(
    "networks",
    [
        *(("192.0.2.1/24",), ("",), ("office",), ("10.0.0.0/8",) * (NETWORK_LIMIT + 1)),
        # After a % comes a zone, which may be any text.
        *(("fe80::%eth0/128",), ("::%\x1b[2J/64",), (f"::%{mint('application').plain}",)),
    ],
)
def test_an_invalid_list_of_networks_is_refused(networks: tuple[str, ...]) -> None:
    with pytest.raises(BadNetwork) as refused:
        checked_networks(networks)
    assert refused.value.facts == {"field": "networks"}


def test_a_network_with_host_bits_is_refused_with_the_network_that_was_meant() -> None:
    for said, meant in (("10.0.0.1/8", "did you mean 10.0.0.0/8?"), ("10.0.0.0/99", "'10.0.0.0/99' is not a network.")):
        with pytest.raises(BadNetwork) as refused:
            checked_networks((said,))
        assert meant in refused.value.detail


@pytest.mark.parametrize(
    ("limit", "means"), [("600/1m", (600, 60)), ("1/1s", (1, 1)), ("5/1.5s", (5, 2)), ("1/1ns", (1, 1))]
)
def test_a_rate_limit_is_a_number_and_a_duration(limit: str, means: tuple[int, int]) -> None:
    assert checked_rate(limit) == limit
    assert rate(limit) == means


@pytest.mark.parametrize(
    "limit", ["", "600", "0/1m", "-1/1m", "600/", "600/0s", "600/forever", "6e2/1m", "1/1m/1m", "9876543210/1m"]
)  # fmt: skip
def test_an_invalid_rate_limit_is_refused(limit: str) -> None:
    with pytest.raises(BadRateLimit, match=r"is not a rate limit\. .* such as 600/1m") as refused:
        checked_rate(limit)
    assert refused.value.facts == {"field": "rate_limit"}


def test_no_networks_admit_every_address_and_a_list_refuses_a_caller_without_an_address() -> None:
    assert checked_rate(None) is None
    assert admits((), None)
    assert admits(OFFICE.networks, INSIDE)
    assert admits(OFFICE.networks, ipaddress.ip_address("::ffff:192.0.2.7"))
    assert not admits(OFFICE.networks, OUTSIDE)
    assert not admits(OFFICE.networks, None)


_addresses = st.ip_addresses(v=4, network="192.0.2.0/26") | st.ip_addresses(v=6, network="2001:db8::/122")
_networks = st.lists(
    st.builds(
        lambda address, spare: str(ipaddress.ip_network((address, address.max_prefixlen - spare), strict=False)),
        _addresses, st.integers(0, 5),
    ),
    max_size=3,
).map(tuple)  # fmt: skip
_rates = st.none() | st.builds(lambda most, span: f"{most}/{span}s", st.integers(1, 9), st.integers(1, 9))
_numbers = st.none() | st.integers(1, 9)
_bounds = st.builds(Bounds, _networks, _rates, _numbers)


def used(limit: str | None, at: int) -> float:
    """The highest number of calls after so many seconds, window after window."""
    if limit is None:
        return float("inf")
    most, span = rate(limit)
    return most * (at // span + 1)


@given(_bounds, _bounds, _addresses)
def test_narrower_bounds_allow_nothing_that_the_wider_bounds_refuse(inner: Bounds, outer: Bounds, address: Any) -> None:
    assume(inner.within(outer))
    assert not admits(inner.networks, address) or admits(outer.networks, address)
    if outer.rate_limit is not None:
        (most, span), (most_outer, span_outer) = rate(inner.rate_limit or ""), rate(outer.rate_limit)
        assert most <= most_outer
        assert used(inner.rate_limit, span * span_outer - 1) <= used(outer.rate_limit, span * span_outer - 1)
    assert outer.max_uses is None or (inner.max_uses or float("inf")) <= outer.max_uses


@given(_bounds, _bounds, _bounds)
def test_within_is_a_partial_order(one: Bounds, two: Bounds, three: Bounds) -> None:
    assert one.within(one)
    assert one.within(UNBOUNDED)
    assert not (one.within(two) and two.within(three)) or one.within(three)


@given(_bounds, _bounds)
def test_a_child_with_wider_bounds_than_its_caller_is_refused(caller: Bounds, wanted: Bounds) -> None:
    command = command_of(
        Create, by=bounded(caller), number=7, owner=CREATED.owner, name="n", secret=SECRET, networks=wanted.networks,
        rate_limit=wanted.rate_limit, max_uses=wanted.max_uses,
    )  # fmt: skip
    try:
        token = histories.given().then(command)
    except BeyondCaller:
        return
    assert token.bounds.within(caller)


@given(_bounds, _bounds, _bounds)
def test_a_bounded_caller_cannot_change_or_create_wider_bounds(caller: Bounds, was: Bounds, wanted: Bounds) -> None:
    before = histories.given(
        replace(
            CREATED, networks=checked_networks(was.networks), rate_limit=was.rate_limit,
            max_uses=was.max_uses or UNSET,
        )
    )  # fmt: skip
    command = command_of(
        Update, by=bounded(caller), networks=wanted.networks, rate_limit=wanted.rate_limit, max_uses=wanted.max_uses
    )
    try:
        token = before.then(command)
    except BeyondCaller:
        return
    assert before.token.bounds.within(caller)
    assert token.bounds.within(caller)


@pytest.mark.parametrize(
    ("history", "command"),
    [
        ((), command_of(Rotate, by=bounded(), secret=NEXT, grace_seconds=0)),
        ((), command_of(Renew, by=bounded(), lifetime="1d")),
        ((Suspended(),), command_of(Resume, by=bounded())),
        ((), command_of(Update, by=bounded(), name="another")),
    ],
)
def test_a_bounded_caller_gives_no_power_to_a_token_with_wider_bounds(history: Any, command: Any) -> None:
    with pytest.raises(BeyondCaller, match=r"may be used from 192\.0\.2\.0/24, 2001:db8::/32 only"):
        histories.given(CREATED, *history).when(command)
    limited = replace(command, by=bounded(Bounds(rate_limit="600/1m")))
    with pytest.raises(BeyondCaller, match="limited to 600/1m; state a rate limit no wider"):
        histories.given(CREATED, *history).when(limited)
    assert histories.given(HELD, *history).when(command)


def test_a_caller_with_limited_uses_gives_no_more_uses_and_raises_no_limit() -> None:
    few = bounded(Bounds(max_uses=5))
    made = command_of(Create, by=few, number=7, owner=CREATED.owner, name="n", secret=SECRET)
    for wanted in (None, 6):
        with pytest.raises(BeyondCaller, match=r"may be used 5 times; state no more uses") as refused:
            histories.given().when(replace(made, max_uses=wanted))
        assert refused.value.facts == {"max_uses": 5}
    assert histories.given().then(replace(made, max_uses=5)).bounds == Bounds(max_uses=5)
    itself = replace(ITSELF, bounds=Bounds(max_uses=5))
    of_five = histories.given(replace(CREATED, max_uses=5))
    assert of_five.when(command_of(Update, by=itself, max_uses=4)) == [Updated(max_uses=4)]
    for wider in (6, None):
        with pytest.raises(BeyondCaller):
            of_five.when(command_of(Update, by=itself, max_uses=wider))
    assert of_five.then(command_of(Update, max_uses=None)).bounds == UNBOUNDED
    assert of_five.when(command_of(Update, max_uses=5)) == []


@pytest.mark.parametrize("number", [0, -1, QUOTA_LIMIT + 1])
def test_an_invalid_number_of_uses_is_refused(number: int) -> None:
    with pytest.raises(BadQuota, match=r"is not a quota\. A number of uses") as refused:
        histories.given(CREATED).when(command_of(Update, max_uses=number))
    assert refused.value.facts == {"field": "max_uses"}
    assert checked_number(QUOTA_LIMIT, field="max_uses") == QUOTA_LIMIT


def test_a_token_can_narrow_its_own_bounds_and_not_widen_them() -> None:
    itself = bounded(by=ITSELF)
    narrower = histories.given(HELD).when(command_of(Update, by=itself, networks=("192.0.2.0/28",), rate_limit="60/1m"))
    assert narrower == [Updated(networks=("192.0.2.0/28",), rate_limit="60/1m")]
    for wider in ({"networks": ()}, {"networks": ("192.0.0.0/16",)}, {"rate_limit": None}, {"rate_limit": "601/1m"}):
        with pytest.raises(BeyondCaller):
            histories.given(HELD).when(command_of(Update, by=itself, **wider))
    assert (
        histories.given(HELD).when(command_of(Update, by=itself, networks=OFFICE.networks, rate_limit="600/1m")) == []
    )


def test_only_an_unbounded_caller_removes_bounds() -> None:
    token = histories.given(HELD).then(command_of(Update, networks=(), rate_limit=None))
    assert token.bounds == UNBOUNDED
    assert histories.given(HELD).token.bounds == OFFICE


def test_an_exchange_needs_an_allowed_network_and_a_counted_use() -> None:
    asked = exchange(address=INSIDE, counted=Limits("600/1m"))
    assert histories.given(HELD).when(asked)
    for address in (OUTSIDE, None):
        with pytest.raises(TokenNetworkForbidden):
            histories.given(HELD).when(replace(asked, address=address))
    for counted in (UNLIMITED, Limits("601/1m")):
        with pytest.raises(Uncounted) as refused:
            histories.given(HELD).when(replace(asked, counted=counted))
        assert (refused.value.token, refused.value.limits) == (TOKEN, Limits("600/1m"))


QUOTA = OwnerQuota(UUID(int=0x0A), "60/1m", 100, 7)


def test_an_exchange_counts_as_a_use_and_is_refused_when_none_is_left() -> None:
    of_five, asked = histories.given(replace(CREATED, max_uses=5)), exchange()
    with pytest.raises(Uncounted) as refused:
        of_five.when(asked, context=Context(quota=QUOTA, used=4, owner_used=99))
    counted = refused.value.limits
    assert counted == Limits(None, 5, QUOTA)
    # The use is already counted here, perhaps as the last one.
    assert of_five.when(replace(asked, counted=counted), context=Context(quota=QUOTA, used=5, owner_used=100))
    with pytest.raises(UsesExhausted, match="This token was used"):
        of_five.when(asked, context=Context(quota=QUOTA, used=5))
    with pytest.raises(UsesExhausted, match="The tokens of this owner") as refused_for_owner:
        of_five.when(asked, context=Context(quota=QUOTA, owner_used=100))
    assert refused_for_owner.value.facts == {"of": "owner"}


def test_uses_run_out_only_where_they_are_limited() -> None:
    assert used_up(UNBOUNDED, Context(used=9, owner_used=9)) is None
    assert used_up(Bounds(max_uses=10), Context(quota=OwnerQuota(TOKEN), used=9, owner_used=9)) is None
    assert used_up(Bounds(max_uses=9), Context(used=9)) is not None


def test_no_use_is_counted_twice_while_its_limits_change() -> None:
    was, now = Limits("60/1m", 5, QUOTA), Limits("90/1m", 6, replace(QUOTA, max_uses=99))
    assert now.beyond(UNLIMITED) == now
    assert now.beyond(now) == UNLIMITED
    assert now.beyond(was) == Limits("90/1m", None, now.quota)
    assert now.beyond(Limits("90/1m")) == Limits(None, 6, now.quota)


def test_a_caller_bound_to_networks_adds_no_user_who_could_log_in_from_anywhere() -> None:
    refuse_beyond_bounds(bounded(Bounds(rate_limit="1/1m")), Bounds(rate_limit="1/1m"))
    for bounds in (OFFICE, Bounds(max_uses=5)):
        with pytest.raises(BeyondCaller, match="bound to networks or to a number of uses"):
            decide_user(None, user_fixtures.create(by=bounded(bounds)), user_fixtures.NOW)
