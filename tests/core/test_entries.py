"""The golden bytes: one chained entry of every event, so that stored bytes cannot drift unnoticed.

Before the first release a wanted change is written with `python tests/core/test_entries.py`; afterwards never.
"""

import base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from counterfoil.core.codec import Sealed, entry_of, fact_of, leaf_hash, seal
from counterfoil.core.events import Event, Fact, Private, Subject
from counterfoil.core.kinds import EVENTS, TYPE_OF
from counterfoil.core.principal import NIL, Actor, Owner
from counterfoil.core.subjects.access import LogRange, Read
from counterfoil.core.subjects.account import AccountCreated, AccountRenamed, Policy, PolicyChanged, SecretsEnded
from counterfoil.core.subjects.bulk_revocation import (
    BulkRevocationAccepted,
    BulkRevocationCancelled,
    BulkRevocationFinished,
    BulkRevocationStarted,
    Children,
)
from counterfoil.core.subjects.owner_quota import QuotaRemoved, QuotaSet
from counterfoil.core.subjects.peppers import PepperActivated, PepperIntroduced, PepperRetired
from counterfoil.core.subjects.scope_catalogue import ScopeDescribed, ScopeRemoved, SetDefined, SetRemoved
from counterfoil.core.subjects.signing_key_events import (
    BearerLifetimeExtended,
    KeyActivated,
    KeyCreated,
    KeyPublished,
    KeyRemoved,
    KeyRetired,
)
from counterfoil.core.subjects.subscription_events import (
    Definition,
    Redelivered,
    SubscriptionCreated,
    SubscriptionDisabled,
    SubscriptionPaused,
    SubscriptionRemoved,
    SubscriptionResumed,
    SubscriptionTested,
    SubscriptionUpdated,
    WebhookSecretRotated,
)
from counterfoil.core.subjects.token.events import (
    Asserted,
    Created,
    Erased,
    Exchanged,
    Expired,
    Expiring,
    GraceEnding,
    GraceExtended,
    Renewed,
    Resumed,
    Revoked,
    Rotated,
    RotationConfirmed,
    Suspended,
    Updated,
)
from counterfoil.core.subjects.user_events import (
    PasswordChanged,
    RecoveryCodeUsed,
    TotpEnrolled,
    TotpRemoved,
    UserCreated,
    UserDisabled,
    UserEnabled,
    UserRemoved,
    UserUpdated,
)
from counterfoil.core.trust import Trust

GOLDEN = Path(__file__).with_name("entries.jsonl")
ACCOUNT, OTHER = UUID("019b0000-0000-7000-8000-00000000acc0"), UUID("019b0000-0000-7000-8000-000000000bee")
START = datetime(2026, 1, 1, tzinfo=UTC)
ENDS = START + timedelta(days=90, microseconds=123_456)
TRUST = Trust(issuer="https://id.example", audience="us", claims={"sub": ("repo:acme/*",), "é": ("a", "b")}, once=True)
WORDS = Private(name='Ада\'s "nightly" 👩‍🔧', description="", metadata={"team": "é", "B": "<&>/\\"})

LIVES: dict[str, list[Event]] = {
    "account": [
        AccountCreated(private=Private(name="Acme")),
        AccountRenamed(private=Private(name="Acme & Daughters")),
        PolicyChanged(policy=Policy(max_lifetime="90d", thresholds=(86_400,), networks=("192.0.2.0/24",))),
        SecretsEnded(private=Private(reason="laptop stolen")),
    ],
    "user": [
        UserCreated(number=2, role="administrator", private=Private(name="ada@example.com")),
        UserUpdated(role="member", scopes=("invoices.read",)),
        PasswordChanged(),
        UserDisabled(private=Private(reason="on leave")),
        UserEnabled(),
        TotpEnrolled(recovery_codes=10),
        RecoveryCodeUsed(index=3),
        TotpRemoved(),
        UserRemoved(private=Private(reason="left")),
    ],
    "scope": [
        ScopeDescribed(
            scope="invoices.read", documentation="https://docs.example/x", private=Private(description="Read.")
        ),
        ScopeRemoved(),
    ],
    "scope_set": [SetDefined(scopes=("a", "b.*"), private=Private(name="readers", description="")), SetRemoved()],
    "bulk_revocation": [
        BulkRevocationAccepted(
            plan="ab" * 32, total=10_000, private=Private(reason="leaked", filter={"name": "ci-*"})
        ),
        BulkRevocationStarted(),
        BulkRevocationFinished(revoked=9_998, failed=1),
        BulkRevocationCancelled(),
        BulkRevocationAccepted(plan="cd" * 32, total=0, children=Children(made_by=OTHER, owner=Owner("service", "ci"))),
        BulkRevocationAccepted(plan="ef" * 32, total=1, children=Children()),
    ],
    "access": [
        Read(
            reader=Actor("user", OTHER), calls={"list": 3, "token": 1}, rows=151, tokens=(OTHER,), seconds=2,
        ),
        Read(reader=Actor("user", OTHER), calls={"events": 1}, rows=0, tokens=(), seconds=0),
        Read(
            reader=Actor("user", OTHER), calls={"whole_log": 3}, rows=0, tokens=(OTHER,), seconds=3_600,
            log=LogRange(first=1, last=9_007_199_254_740_992, filters={"none": 1, "type": 2}),
        ),
    ],
    "owner_quota": [
        QuotaSet(owner=Owner("service", "billing"), rate_limit="600/1m", max_uses=None, max_tokens=20),
        QuotaRemoved(),
    ],
    "subscription": [
        SubscriptionCreated(
            definition=Definition(
                events=("expiring", "revoked"), owner=Owner("service", "ci"), scope="a.b", threshold=9, ordered=True
            ),
            private=Private(name="on call", url="https://hooks.example.org/x?y=z", filter={"name": "ci-*"}),
        ),
        SubscriptionUpdated(
            definition=Definition(events=("created",)), private=Private(name="x", url="https://hooks.example.org/")
        ),
        SubscriptionPaused(),
        SubscriptionResumed(),
        WebhookSecretRotated(previous_until=ENDS),
        SubscriptionDisabled(because="gone"),
        SubscriptionTested(),
        Redelivered(delivery=None),
        Redelivered(delivery=OTHER),
        SubscriptionRemoved(),
    ],
    "signing_keys": [
        KeyCreated(kid="k1", jwk={"kty": "EC", "crv": "P-256", "x": "AA", "y": "_w"}),
        BearerLifetimeExtended(seconds=3_600),
        KeyPublished(kid="k2", jwk={"kty": "EC", "crv": "P-256", "x": "AB", "y": "-w"}),
        KeyRetired(kid="k1"),
        KeyActivated(kid="k2"),
        KeyRemoved(kid="k1"),
        KeyRemoved(kid="k2", private=Private(reason="leaked with a backup")),
    ],
    "peppers": [
        PepperIntroduced(number=1, check="00112233445566778899aabbccddeeff"),
        PepperActivated(number=1),
        PepperIntroduced(number=2, check="ffeeddccbbaa99887766554433221100"),
        PepperActivated(number=2),
        PepperRetired(number=1, left=0),
    ],
    "token": [
        Created(
            number=9_007_199_254_740_992, owner=Owner("service", "billing:eu-1"), scopes=("tokens.*", "all"),
            lifetime="12µs", expires_at=ENDS, thresholds=(604_800, 86_400), hint="cfl_service_Ab12",
            dialect="cloudflare", cloned_from=OTHER, private=WORDS,
        ),
        Updated(private=Private(description="runs at night")),
        Updated(scopes=()),
        Expiring(threshold=86_400, expires_at=ENDS),
        Expired(expires_at=ENDS),
        Renewed(expired_at=ENDS, expires_at=None, lifetime="forever"),
        Rotated(generation=2, previous_until=ENDS, hint="cfl_service_Cd34"),
        Exchanged(
            jti=OTHER, generation=2, audience=("https://mail.example",), scopes=("tokens.a",), expires_at=ENDS,
            actors=(OTHER,),
        ),
        Suspended(private=Private(reason="under review")),
        Suspended(),
        Resumed(),
        Revoked(private=Private(reason="leaked")),
        Erased(),
        Suspended(by_owner=True),
        Updated(networks=("192.0.2.0/24",), rate_limit="600/1m"),
        Updated(networks=(), rate_limit=None),
        Updated(max_uses=3),
        Updated(max_uses=None),
        Updated(trust=TRUST, epoch=2),
        Exchanged(
            jti=OTHER, generation=3, audience=(), scopes=("tokens.a",), expires_at=ENDS,
            assertion=Asserted(issuer=TRUST.issuer, claims={"sub": "repo:acme/app", "ref": "refs/é"}, jti="ab" * 32),
        ),
        Rotated(generation=3, previous_until=START + timedelta(hours=1), hint="cfl_service_Ef56"),
        GraceExtended(previous_until=START + timedelta(hours=2)),
        GraceEnding(
            threshold=3_600, previous_until=START + timedelta(hours=2), uses=17,
            last_used_at=START + timedelta(microseconds=1),
        ),
        RotationConfirmed(ended_early=START + timedelta(hours=2)),
        RotationConfirmed(ended_early=ENDS, unused=True),
    ],
}  # fmt: skip


def facts(kind: str) -> Iterator[Fact]:
    by = {"token": Actor("token", OTHER), "user": Actor("user", OTHER)}.get(kind, Actor("system", NIL))
    for version, event in enumerate(LIVES[kind], start=1):
        yield Fact(
            account=ACCOUNT, subject=Subject(kind, UUID(int=ACCOUNT.int + 1)), version=version,
            type=TYPE_OF[type(event)], at=START + timedelta(seconds=1.5) * (version - 1), by=by, event=event,
        )  # fmt: skip


def chain(kind: str) -> Iterator[tuple[Fact, Sealed]]:
    leaf = None
    for fact in facts(kind):
        sealed = seal(fact, prev=leaf, salt=bytes([fact.version]) * 32)
        leaf = sealed.leaf
        yield fact, sealed


def golden() -> list[bytes]:
    return GOLDEN.read_bytes().splitlines()


def test_entry_bytes_are_those_of_the_golden_file() -> None:
    assert [sealed.entry for kind in LIVES for _, sealed in chain(kind)] == golden()


def test_every_event_is_in_the_golden_file() -> None:
    written = {(entry.subject.kind, entry.type) for entry in map(entry_of, golden())}
    assert written == {(kind, word) for kind, words in EVENTS.items() for word in words}


@pytest.mark.parametrize("kind", LIVES)
def test_golden_entries_are_read_back(kind: str) -> None:
    lines = [line for line in golden() if entry_of(line).subject.kind == kind]
    for line, (fact, sealed) in zip(lines, chain(kind), strict=True):
        assert fact_of(entry_of(line), sealed.private, EVENTS) == fact


@pytest.mark.parametrize("kind", LIVES)
def test_golden_entries_are_chained_by_subject(kind: str) -> None:
    prev = None
    for line in (line for line in golden() if entry_of(line).subject.kind == kind):
        assert entry_of(line).prev == prev
        prev = base64.b64encode(leaf_hash(line)).decode()


def test_the_golden_file_contains_no_name_and_no_free_text() -> None:
    text = GOLDEN.read_text()
    assert [word for word in ("Acme", "ada@", "nightly", "runs at", "review", "leaked", "team") if word in text] == []


if __name__ == "__main__":
    GOLDEN.write_bytes(b"".join(sealed.entry + b"\n" for kind in LIVES for _, sealed in chain(kind)))
