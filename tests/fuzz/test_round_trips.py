"""Writing and reading are inverse: a written value is read back, and reading, writing and reading changes nothing."""

import base64
import ipaddress
from typing import Any
from urllib.parse import quote, urlencode
from uuid import UUID

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from counterfoil.core import codec, duration, imported_secrets, scopes, secret
from counterfoil.core.credentials import BearerGiven, SecretGiven
from counterfoil.core.cursor import BadCursor
from counterfoil.core.subjects import account
from counterfoil.settings import Settings
from counterfoil_api.auth.credentials import PasswordGiven, credentials
from counterfoil_api.http.addresses import Proxies, address_of
from counterfoil_api.native.forward_auth.demand import Demand, demand_of
from counterfoil_api.operations.etags import etag, expectation
from counterfoil_api.operations.form_fields import fields_of, form_of
from fuzz.core import CURSORS, ENTRY, SETTINGS
from fuzz.web import BEARER, RING

unhurried = settings(max_examples=30, deadline=None, database=None)
TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=40)
NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,9}", fullmatch=True).filter(
    lambda name: name not in {"token", "secret", "session", "password", "apikey"}
)
SCOPES = st.lists(st.from_regex(r"[A-Za-z0-9_-]{1,9}", fullmatch=True), min_size=1, max_size=4).map(".".join)
JSON: st.SearchStrategy[Any] = st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), TEXTS)


@unhurried
@given(st.integers(0, 3_155_760_000))
def test_durations_are_read_back(seconds: int) -> None:
    assert duration.seconds(duration.spelt(seconds)) == seconds


@unhurried
@given(st.uuids(), st.lists(JSON, max_size=4), st.lists(JSON, max_size=4), st.integers(0, 2**16))
def test_cursors_are_read_back(owner: UUID, question: list[Any], place: list[Any], at: int) -> None:
    made = CURSORS.made(owner, question, place)
    assert CURSORS.place(owner, question, made) == place
    at %= len(made)
    other = made[:at] + ("A" if made[at] != "A" else "B") + made[at + 1 :]
    if base64.urlsafe_b64decode(other + "==") != base64.urlsafe_b64decode(made + "=="):
        with pytest.raises(BadCursor):
            CURSORS.place(owner, question, other)


@unhurried
@given(st.sampled_from(tuple(secret.PREFIXES)), st.integers(0, 60), st.sampled_from("aA0-"))
def test_secrets_are_read_back(owner: str, at: int, other: str) -> None:
    made = secret.mint(owner).plain
    found = secret.recognised(made)
    assert found is not None
    assert found.plain == made
    at %= len(made)
    assume(made[at] != other)
    assert secret.recognised(made[:at] + other + made[at + 1 :]) is None
    assert credentials(f"Bearer {made}") == SecretGiven(made)


@unhurried
@given(st.emails(), TEXTS)
def test_passwords_are_read_back(email: str, password: str) -> None:
    assume(email.isprintable() and password.isprintable())
    told = base64.b64encode(f"{email}:{password}".encode()).decode()
    assert credentials(f"Basic {told}") == PasswordGiven(email, password)


def test_bearers_are_read_back() -> None:
    assert credentials(f"Bearer {BEARER}") == BearerGiven(BEARER)
    assert RING.sign(RING.claims_of(BEARER)).split(".")[:2] == BEARER.split(".")[:2]


@unhurried
@given(st.dictionaries(NAMES, TEXTS, max_size=20))
def test_queries_and_forms_are_read_back(fields: dict[str, str]) -> None:
    assert fields_of(urlencode(fields) or "a=b", where="query") == (fields or {"a": "b"})
    assert form_of(urlencode(fields), frozenset({"again"})) == {**fields, "again": []}
    assert form_of(urlencode([("again", text) for text in fields.values()]), frozenset({"again"})) == {
        "again": list(fields.values())
    }


@unhurried
@given(st.sets(st.integers(1, 10**15), min_size=1, max_size=9))
def test_preconditions_are_read_back(revisions: set[int]) -> None:
    assert expectation(" , ".join(map(etag, revisions))) == frozenset(revisions)


@unhurried
@given(st.ip_addresses(), st.ip_addresses(v=4))
def test_addresses_are_read_back(
    client: ipaddress.IPv4Address | ipaddress.IPv6Address, peer: ipaddress.IPv4Address
) -> None:
    read = address_of(str(client))
    assert read == (getattr(client, "ipv4_mapped", None) or client)
    assert address_of(str(read)) == read
    trusting = Proxies((f"{peer}/32",))
    assert trusting.client(peer, [str(client)]) == read
    assert Proxies(()).client(peer, [str(client)]) == peer


@unhurried
@given(st.ip_addresses(network="10.0.0.0/8"), st.integers(8, 32))
def test_networks_are_read_back(address: ipaddress.IPv4Address, bits: int) -> None:
    network = str(ipaddress.ip_network((address, bits), strict=False))
    once = account._canonical((network,))
    assert account._canonical(once) == once == (network,)
    told = Settings.from_environment({**SETTINGS, "TRUSTED_PROXIES": network}, command="api")
    assert told.trusted_proxies == (network,)


@unhurried
@given(st.uuids(), st.lists(SCOPES, min_size=1, max_size=5, unique=True), st.from_regex("[!-~]{1,40}", fullmatch=True))
@example(UUID(int=1), ["-"], "-")
def test_demands_are_read_back(owner: UUID, wanted: list[str], audience: str) -> None:
    meant = Demand(owner, scopes.checked(wanted), audience)
    query = urlencode({"account": str(owner), "scope": " ".join(wanted), "audience": audience})
    assert demand_of(f"/v1/forward?{query}") == meant
    parts = (str(owner), "scope", " ".join(wanted), "audience", audience)
    spelt = "/".join("%2D" if part == "-" else quote(part, safe="") for part in parts)
    assert demand_of(f"/v1/forward/account/{spelt}/-/whatever?scope=other.thing") == meant


@unhurried
@given(st.binary(min_size=32, max_size=32))
def test_digests_are_read_back(digest: bytes) -> None:
    for text in (digest.hex(), digest.hex().upper(), base64.b64encode(digest).decode(), _url(digest)):
        assert imported_secrets.by_digest("sha256", text).digest == digest


def _url(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def test_entries_are_read_back() -> None:
    entry = codec.entry_of(ENTRY)
    assert codec.canonical(entry) == ENTRY.encode()
    assert codec.entry_of(codec.canonical(entry)) == entry
