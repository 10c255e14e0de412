"""`evolve`: which event may come first, and what follows from each event."""

import pytest
from msgspec.structs import replace

from core.histories import (
    CREATED,
    ENDS,
    JTI,
    NOON,
    RESUMED,
    REVOKED,
    SUSPENDED,
    fact,
    given,
    rotated,
)
from counterfoil.core.events import Event, Private
from counterfoil.core.kinds import TYPE_OF
from counterfoil.core.subjects.token.events import (
    UNREVISED,
    Erased,
    Exchanged,
    Expired,
    Expiring,
    GraceEnding,
    GraceExtended,
    Renewed,
    RotationConfirmed,
    Updated,
)
from counterfoil.core.subjects.token.state import evolve, is_session, stands_for_its_owner

EXCHANGED = Exchanged(jti=JTI, generation=1, audience=(), scopes=(), expires_at=NOON)
RENEWED = Renewed(expired_at=ENDS, expires_at=NOON, lifetime=None)
AFTER_THE_FIRST: list[Event] = [
    Updated(scopes=()), RENEWED, rotated(2, None), EXCHANGED, SUSPENDED, RESUMED,
    Expiring(threshold=1, expires_at=ENDS), Expired(expires_at=ENDS), REVOKED, Erased(),
    GraceExtended(previous_until=ENDS), RotationConfirmed(ended_early=ENDS),
    GraceEnding(threshold=1, previous_until=ENDS, uses=1, last_used_at=NOON),
]  # fmt: skip


@pytest.mark.parametrize("event", AFTER_THE_FIRST)
def test_a_history_begins_with_created(event: Event) -> None:
    with pytest.raises(ValueError, match=f"begins with {TYPE_OF[type(event)]}, not with created"):
        evolve(None, fact(event, version=1))


def test_a_history_has_one_created() -> None:
    with pytest.raises(ValueError, match="created once"):
        given(CREATED, CREATED)


@pytest.mark.parametrize("event", AFTER_THE_FIRST)
def test_the_version_counts_every_event_and_the_revision_only_changes(event: Event) -> None:
    token = given(CREATED, (NOON, event)).token
    changes = TYPE_OF[type(event)] not in UNREVISED
    assert (token.version, token.revision) == (2, 1 + changes)
    assert token.at == NOON
    assert (token.updated_at == NOON) is changes


def test_an_entry_without_its_private_part_folds_to_an_erased_state() -> None:
    said = (CREATED, Updated(private=Private(description="of Ada")), SUSPENDED)
    left = tuple(replace(event, private=Private()) for event in said)
    assert given(*said, Erased()).token == given(*left, Erased()).token


def test_a_session_has_the_dialect_of_its_event() -> None:
    dialects = ("vendor.session", "vendor.bounded.session", "vendor", "native", "founding")
    assert [is_session(dialect) for dialect in dialects] == [True, True, False, False, False]
    assert [stands_for_its_owner(dialect) for dialect in dialects] == [True, False, False, False, True]
