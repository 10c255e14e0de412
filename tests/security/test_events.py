"""I33. No event contains a secret, whatever secrets the command contains."""

from typing import Any, get_type_hints
from uuid import UUID

import msgspec
import pytest
from msgspec.structs import replace

from core.deciding import decide as decide_any
from core.histories import ACCOUNT, ADMIN, CREATED, NOON, SECRET, TOKEN, given
from counterfoil.core.codec import seal
from counterfoil.core.events import Fact, Private, Subject
from counterfoil.core.kinds import EVENTS, TYPE_OF
from counterfoil.core.principal import Owner
from counterfoil.core.refusals import Refusal
from counterfoil.core.secret import Peppers, mint, stands_in
from counterfoil.core.subjects.signing_key_events import NewKey, PublishKey
from counterfoil.core.subjects.subject import DecisionContext
from counterfoil.core.subjects.token import commands
from counterfoil.core.subjects.token.decide import decide
from counterfoil.core.subjects.token.state import Token
from counterfoil.core.trust import Trust
from security.scanner import Scanner

MARKER = mint("service")
PLAIN = MARKER.plain
TRUST = Trust(issuer="https://id.example", audience="us", claims={"sub": ("repo:acme/app",)})
TRUSTING = replace(CREATED, hint="", trust=TRUST)
PLACES: dict[Any, list[Any]] = {
    "text": [PLAIN, f"see {PLAIN}.", f"{PLAIN}.*", f"90d {PLAIN}"],
    "texts": [(PLAIN,), (f"{PLAIN}.*", "a.b"), (f"x {PLAIN}",)],
    "metadata": [{PLAIN: "x"}, {"note": f"x{PLAIN}x"}],
    "owner": [Owner("service", PLAIN), Owner("service", f"a:{PLAIN}")],
    "trust": [
        replace(TRUST, issuer=f"https://id.example/{PLAIN}"),
        replace(TRUST, audience=PLAIN),
        replace(TRUST, claims={PLAIN: ("a",)}),
        replace(TRUST, claims={"sub": (f"a{PLAIN}*",)}),
    ],
}
USUAL = {
    "number": 1, "owner": Owner("application", "ada"), "name": "nightly", "secret": SECRET, "grace_seconds": 0,
    "reason": "x", "generation": 1, "jti": UUID(int=1), "lifetime_seconds": 60, "description": "",
    "scopes": ("a.b",), "metadata": {}, "notice_seconds": 60,
    "audience": (), "lifetime": None, "expires_at": None, "revisions": None, "thresholds": (), "cloned_from": None,
}  # fmt: skip
FREE = {
    "name": "text", "description": "text", "reason": "text", "lifetime": "text", "scopes": "texts", "audience": "texts",
    "metadata": "metadata", "owner": "owner", "networks": "texts", "undescribed": "texts", "rate_limit": "text",
    "trust": "trust",
}  # fmt: skip
"""Fields of commands that callers write as they like."""
CHOSEN = {
    "account", "id", "by", "number", "secret", "expires_at", "thresholds", "dialect", "cloned_from", "revisions",
    "grace_seconds", "imported_digests", "bulk_revocation", "generation", "jti", "lifetime_seconds", "held", "actors",
    "address",
    "forgets_use", "keeps_lifetime", "previous_until", "may_have_expired", "ends_previous", "made_at", "max_uses",
    "counted", "assertion", "even_if_unused", "notice_seconds",
}  # fmt: skip
"""Fields that hold ids, numbers, times, or words of our own choice."""
ASKED = commands.TokenCommand.__subclasses__()


def sealed(event: Any) -> bytes:
    fact = Fact(
        account=ACCOUNT, subject=Subject("token", TOKEN), version=2, type=TYPE_OF[type(event)], at=NOON,
        by=ADMIN.actor, event=event,
    )  # fmt: skip
    entry = seal(fact, prev=None, salt=bytes(32))
    return entry.entry + b"\n" + (entry.private or b"")


def outcomes(state: Token | None, command: type[commands.TokenCommand], said: dict[str, Any]) -> list[bytes]:
    fields = {name: USUAL[name] for name in command.__struct_fields__ if name in USUAL}
    if "trust" in said:  # in place of a secret
        fields, state = fields | ({"secret": None} if "secret" in fields else {}), state and given(TRUSTING).token
    asked = command(account=ACCOUNT, id=TOKEN, by=ADMIN, **{**fields, **said})
    try:
        return [sealed(event) for event in decide(state, asked, NOON)]
    except Refusal:
        return []  # the quoted value is filtered where it is answered, and never logged


@pytest.mark.parametrize("command", ASKED, ids=lambda command: command.__name__)
def test_a_secret_in_a_command_never_enters_an_event(command: type[commands.TokenCommand]) -> None:
    scanner = Scanner()
    scanner.know("marker", PLAIN)
    state = None if command is commands.Create else given(CREATED).token
    for name in set(command.__struct_fields__) & set(FREE):
        for value in PLACES[FREE[name]]:
            assert [text for text in outcomes(state, command, {name: value}) if scanner.found(text)] == []


@pytest.mark.parametrize("command", [commands.Create, commands.Rotate])
def test_the_event_of_a_minted_secret_has_its_hint_and_no_digest(command: type[commands.TokenCommand]) -> None:
    kept, scanner = Peppers({1: b"p" * 32}).minted(MARKER), Scanner()
    scanner.know("digest", kept.digest)
    scanner.know("marker", PLAIN)
    state = None if command is commands.Create else given(CREATED).token
    (event,) = outcomes(state, command, {"secret": kept})
    assert kept.hint.encode() in event
    assert scanner.found(event) == set()


def test_every_field_of_every_command_is_in_the_table() -> None:
    fields = {name for command in ASKED for name in command.__struct_fields__}
    assert fields <= CHOSEN | FREE.keys()


ALLOWED = {
    "number", "owner", "scopes", "lifetime", "expires_at", "thresholds", "hint", "generation", "dialect", "cloned_from",
    "private", "expired_at", "previous_until", "jti", "audience", "by_owner", "threshold", "kid", "jwk", "role",
    "parent", "policy", "recovery_codes", "index", "scope", "documentation", "reader", "calls", "rows", "tokens",
    "seconds", "check", "left", "actors", "imported", "bulk_revocation", "plan", "total", "revoked", "failed", "epoch",
    "networks", "rate_limit", "children", "log", "forgets_use", "ended_early", "max_uses", "max_tokens", "trust",
    "assertion", "unused", "uses", "last_used_at", "definition", "because", "delivery",
}  # fmt: skip


def test_events_have_only_fields_of_the_table() -> None:
    kinds = [event for types in EVENTS.values() for event in types.values()]
    assert {name for event in kinds for name in event.__struct_fields__} <= ALLOWED
    assert set(Private.__struct_fields__) <= {"name", "description", "metadata", "reason", "filter", "url"}
    assert [event for event in kinds if bytes in get_type_hints(event).values()] == []


def test_the_event_of_a_signing_key_has_only_its_public_numbers() -> None:
    jwk = {"kty": "EC", "crv": "P-256", "x": "x", "y": "y", "kid": "k", "alg": "ES256", "use": "sig"}
    key = NewKey(kid="k", jwk=jwk, encrypted_private_key=PLAIN.encode())
    command = PublishKey(account=ACCOUNT, id=TOKEN, by=ADMIN, new_key=key)
    (event,) = decide_any(None, command, DecisionContext(at=NOON))
    assert not stands_in(msgspec.json.encode(event).decode())
