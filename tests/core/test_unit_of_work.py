"""Commands against locked rows: each sees the effects of those before it, and a refusal leaves no trace."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from core import user_fixtures
from core.histories import (
    ACCOUNT,
    ADMIN,
    ANOTHER,
    CREATED,
    DAY,
    JTI,
    NEXT,
    NOON,
    SECRET,
    TOKEN,
    command_of,
    given,
)
from counterfoil.core.caller_recheck import UserCaller
from counterfoil.core.kinds import KIND_OF
from counterfoil.core.locked import Locked, Row
from counterfoil.core.principal import SYSTEM, Actor, Owner
from counterfoil.core.refusals import (
    AlreadyAccepted,
    AlreadyExists,
    Busy,
    CallerChanged,
    CallerGone,
    EmailTaken,
    LastAdministrator,
    MakerGone,
    NewSecretUnused,
    NotFound,
    Overloaded,
    OwnerQuotaExceeded,
    Refusal,
    SecretNoLongerAvailable,
    SecretTaken,
    UnknownSecret,
)
from counterfoil.core.subjects.access import NoteAccess, access_id_of
from counterfoil.core.subjects.account import EndSecrets
from counterfoil.core.subjects.subject import Command, SubjectState, Unresolved
from counterfoil.core.subjects.token.acceptance import ALONE, Context
from counterfoil.core.subjects.token.commands import (
    ConfirmRotation,
    Create,
    Exchange,
    ExchangeSecret,
    Renew,
    Revoke,
    Rotate,
    Suspend,
    Sweep,
)
from counterfoil.core.subjects.token.kind import TOKEN as TOKEN_KIND
from counterfoil.core.subjects.token.kind import TokenReads, acceptance_in
from counterfoil.core.subjects.token.live_tokens import Room
from counterfoil.core.subjects.token.secret_uses import NetworkUses, SecretUses
from counterfoil.core.subjects.token.state import Token
from counterfoil.core.subjects.user import User, owner_of
from counterfoil.core.subjects.user_commands import (
    ChangePassword,
    CreateUser,
    DisableUser,
    EnrolTotp,
    UpdateUser,
)
from counterfoil.core.subjects.user_kind import UserReads
from counterfoil.core.trust import Assertion, Trust
from counterfoil.core.unit_of_work import RETRY, AllOrNothing, Answer, Outcome, UnitOfWork

DIGEST, OTHER_DIGEST = b"\x09" * 32, b"\x08" * 32
OTHER = UUID(int=0x72)
KEY = (ACCOUNT, TOKEN)
TRUST = Trust(issuer="https://ci.example", audience="counterfoil", claims={"sub": ("deploy",)}, once=True)
BILLING = Owner("application", "billing")


def unit(*states: SubjectState | None, of: UUID = TOKEN, **fields: Any) -> UnitOfWork:
    """A unit of work on these states; None is a subject that does not exist yet."""
    keys = ((ACCOUNT, of if state is None else state.id) for state in states)
    rows = {key: Row(state, None if state is None else b"") for key, state in zip(keys, states, strict=True)}
    return UnitOfWork(Locked(clock=NOON, rows=rows, **fields), salt=bytes)


def creates(**fields: Any) -> Create:
    return command_of(Create, **{"owner": BILLING, "name": "nightly", "secret": SECRET, "number": 7, **fields})


def exchanges(**fields: Any) -> Exchange:
    return command_of(Exchange, **{"generation": 1, "jti": JTI, "lifetime_seconds": 60, **fields})


def presents(**fields: Any) -> ExchangeSecret:
    return ExchangeSecret(**{"digests": (DIGEST,), "jti": JTI, "lifetime_seconds": 60, **fields})


def done(answer: Answer) -> Outcome:
    assert isinstance(answer, Outcome), answer
    return answer


def token(**fields: Any) -> Token:
    return replace(given(CREATED).token, **fields)


def user(role: str = "member", **fields: Any) -> User:
    return replace(user_fixtures.after(user_fixtures.born(role)), account=ACCOUNT, **fields)  # type: ignore[arg-type]


def test_a_command_sees_the_effects_of_those_before_it() -> None:
    work = unit(None)
    made = done(work.answer(creates()))
    assert (made.of(Token).name, made.subject, made.at) == ("nightly", TOKEN, NOON)
    assert [fact.version for fact in made.facts] == [1]
    revoked = done(work.answer(command_of(Revoke, reason="left")))
    assert [fact.version for fact in revoked.facts] == [2]
    assert [type(each.command) for each in work.changes.done[KEY]] == [Create, Revoke]
    assert [fact.type for fact, _ in work.changes.facts] == ["created", "revoked"]
    assert work.changes.facts[1][1].entry != work.changes.facts[0][1].entry


def test_a_refusal_leaves_no_trace_and_a_command_without_effect_succeeds() -> None:
    work = unit(token())
    assert isinstance(work.answer(creates()), AlreadyExists)
    assert done(work.answer(command_of(Sweep))).facts == ()
    assert (work.changes.facts, work.changes.done) == ([], {})


def test_a_command_on_a_row_held_by_another_transaction_is_retried() -> None:
    work = unit(token(), held={KEY})
    work.locked.of(TokenReads).opened[DIGEST] = (*KEY, 1)
    assert work.answer(command_of(Sweep)) == work.answer(presents()) == RETRY
    assert work.replay(command_of(Sweep), Outcome(None, (), NOON)) == RETRY
    guarded = unit(user("administrator"), held={(ACCOUNT, ACCOUNT)})
    assert guarded.answer(user_fixtures.command_of(DisableUser, reason="left")) == RETRY


def test_time_never_runs_backwards_within_a_subject() -> None:
    later = NOON + timedelta(seconds=5)
    assert done(unit(token(at=later)).answer(command_of(Suspend))).at == later


def test_all_or_nothing_gives_one_refusal_for_all() -> None:
    work = unit(token())
    both = AllOrNothing((command_of(Suspend, reason="wait"), command_of(Renew, lifetime="1d")))
    assert both.by == ADMIN
    assert both.lane == TOKEN
    outcome = done(work.answer(both))
    assert [fact.type for fact in outcome.facts] == ["suspended", "renewed"]
    kept = (dict(work.locked.rows), list(work.changes.facts))
    assert isinstance(work.answer(AllOrNothing((command_of(Revoke, reason="x"), creates()))), AlreadyExists)
    assert (work.locked.rows, work.changes.facts) == kept


def test_a_secret_finds_its_token_and_of_two_the_older() -> None:
    young = token(id=OTHER, created_at=NOON)
    work = unit(token(), young)
    opened = work.locked.of(TokenReads).opened
    opened |= {DIGEST: (ACCOUNT, OTHER, 1), OTHER_DIGEST: (ACCOUNT, TOKEN, 1)}
    both = presents(digests=(DIGEST, OTHER_DIGEST))
    assert (both.lane, both.principals) == (DIGEST, ())
    assert done(work.answer(both)).subject == TOKEN
    assert isinstance(work.answer(presents(client=UUID(int=1))), UnknownSecret)
    assert isinstance(work.answer(presents(digests=(b"\x07" * 32,))), UnknownSecret)
    opened[b"\x06" * 32] = (ACCOUNT, UUID(int=5), 1)
    work.locked.rows[ACCOUNT, UUID(int=5)] = Row(None, None)
    assert isinstance(work.answer(presents(digests=(b"\x06" * 32,))), NotFound)


def test_an_actor_is_read_again_at_the_decision() -> None:
    acting = presents(actor=ANOTHER)
    assert acting.principals == (ANOTHER,)
    assert exchanges(by=ANOTHER, actors=(ANOTHER.actor.id,)).principals == (ANOTHER,)
    assert exchanges().principals == Unresolved(digests=(DIGEST,)).principals == ()
    work = unit(token())
    work.locked.of(TokenReads).opened[DIGEST] = (*KEY, 1)
    assert done(work.answer(acting)).facts[0].by == ANOTHER.actor


def test_a_caller_with_reduced_rights_is_refused() -> None:
    caller = user("member", id=ADMIN.actor.id)
    work = unit(token(), callers={(ACCOUNT, caller.id): UserCaller(caller)})
    assert isinstance(work.answer(command_of(Suspend)), CallerChanged)
    assert done(work.answer(command_of(Revoke, reason="by a bulk revocation", bulk_revocation=JTI))).facts
    # The state after this batch's earlier commands counts, not the state that was read.
    gone = replace(caller, status="removed")
    held = unit(token(), gone, callers={(ACCOUNT, caller.id): UserCaller(replace(caller, role="administrator"))})
    assert isinstance(held.answer(command_of(Suspend)), CallerGone)
    # A token whose row is held by another transaction cannot be checked as a caller.
    by = replace(ADMIN, actor=Actor("token", TOKEN))
    assert done(unit(token()).answer(command_of(Suspend, by=by))).facts


def test_no_new_digest_is_stored_under_an_ended_pepper() -> None:
    for command in (creates(), command_of(Rotate, secret=NEXT)):
        assert isinstance(unit(None, ended_peppers={1}).answer(command), Overloaded)
    assert done(unit(None, ended_peppers={2}).answer(creates())).facts


def test_an_imported_secret_belongs_to_one_token() -> None:
    work = unit(None)
    command = creates(imported_digests=(DIGEST,))
    assert command.digests == (DIGEST,)
    assert done(work.answer(command)).facts
    work.locked.rows[ACCOUNT, OTHER] = Row(None, None)
    assert isinstance(work.answer(replace(command, id=OTHER)), SecretTaken)


def test_an_owner_has_no_more_live_tokens_than_the_quota_allows() -> None:
    work = unit(None)
    rooms = work.locked.of(TokenReads).rooms
    rooms[ACCOUNT, BILLING] = Room(1, 0, NOON)
    assert done(work.answer(creates())).facts
    work.locked.rows[ACCOUNT, OTHER] = Row(None, None)
    assert isinstance(work.answer(replace(creates(), id=OTHER)), OwnerQuotaExceeded)
    assert work.locked.rows[ACCOUNT, OTHER].state is None


def test_no_token_is_created_that_a_running_bulk_revocation_would_revoke() -> None:
    work = unit(None)
    reads = work.locked.of(TokenReads)
    reads.revoked_with_children.add(((ACCOUNT, ANOTHER.actor.id), BILLING))
    assert isinstance(work.answer(creates(by=ANOTHER)), Busy)
    assert done(work.answer(creates())).facts


def test_the_owner_of_a_new_token_is_read_as_this_batch_left_them() -> None:
    owner = user("administrator")
    command = creates(owner=owner_of(owner.id), scopes=("tokens.read",))
    read = unit(None, callers={(ACCOUNT, owner.id): UserCaller(owner)})
    assert done(read.answer(command)).facts
    held = unit(None, replace(owner, status="removed"), callers={(ACCOUNT, owner.id): UserCaller(owner)})
    assert isinstance(held.answer(command), Refusal)
    assert isinstance(unit(None).answer(command), Refusal)


def test_the_policy_of_the_account_applies_to_its_tokens() -> None:
    work = unit(None)
    work.locked.of(TokenReads).accounts[ACCOUNT] = Context(epoch=4)
    made = done(work.answer(creates()))
    assert (made.of(Token).epoch, acceptance_in(made.context).epoch) == (4, 4)


def test_a_rotation_is_confirmed_by_the_uses_that_were_read_with_its_row() -> None:
    work = unit(token(generation=2, rotated_at=NOON, previous_until=NOON + DAY))
    assert isinstance(work.answer(command_of(ConfirmRotation)), NewSecretUnused)
    uses = SecretUses(2, (NetworkUses(network="192.0.2.0/24", present=1, present_last_at=NOON),))
    work.locked.of(TokenReads).secret_uses[KEY] = uses
    assert len(done(work.answer(command_of(ConfirmRotation))).facts) == 1
    assert done(work.answer(command_of(ConfirmRotation))).facts == ()


@pytest.mark.parametrize("maker", ["user", "token", "system"])
def test_a_jwt_is_accepted_once_and_only_with_the_makers_present_rights(maker: Any) -> None:
    by = SYSTEM.actor if maker == "system" else Actor(maker, ADMIN.actor.id)
    trusting = token(trust=TRUST, trust_by=by, hint="")
    claims = {"iss": TRUST.issuer, "aud": TRUST.audience, "sub": "deploy", "exp": NOON.timestamp() + 60, "jti": "one"}
    exchange = exchanges(assertion=Assertion(issuer=TRUST.issuer, audience=TRUST.audience, claims=claims), by=SYSTEM)
    callers = {(ACCOUNT, ADMIN.actor.id): UserCaller(user("administrator", id=ADMIN.actor.id))}
    work = unit(trusting, callers={} if maker == "token" else callers)
    assert [each.actor for each in TOKEN_KIND.principals(exchange, trusting)] == [by]
    if maker == "token":
        assert isinstance(work.answer(exchange), MakerGone)
        return
    assert done(work.answer(exchange)).facts
    assert isinstance(work.answer(exchange), AlreadyAccepted)
    gone = unit(trusting, user("administrator", id=ADMIN.actor.id, status="disabled"), callers=callers)
    assert isinstance(gone.answer(exchange), MakerGone if maker == "user" else Outcome)


def test_an_email_address_stays_unique_and_the_last_administrator_stays() -> None:
    admin = user("administrator")
    work = unit(admin, None, of=OTHER)
    reads = work.locked.of(UserReads)
    reads.administrators[ACCOUNT] = frozenset({admin.id})
    reads.emails[ACCOUNT] = {"ada@example.org": frozenset({admin.id})}
    fields: dict[str, Any] = {"account": ACCOUNT, "by": ADMIN}
    lessen = UpdateUser(**fields, id=admin.id, role="member")
    assert isinstance(work.answer(lessen), LastAdministrator)
    create = CreateUser(**fields, id=OTHER, email="ada@example.org", role="administrator", password_hash="")
    assert isinstance(work.answer(create), EmailTaken)
    assert done(work.answer(replace(create, email="bob@example.org"))).facts
    assert done(work.answer(AllOrNothing((lessen, ChangePassword(**fields, id=admin.id, password_hash=""))))).facts
    assert reads.administrators == {ACCOUNT: {admin.id, OTHER}}  # the copy taken before is unchanged
    assert work.locked.of(UserReads).administrators == {ACCOUNT: {OTHER}}
    assert (lessen.lane, create.lane, create.has_unique_value, lessen.has_unique_value) == (ACCOUNT, OTHER, True, False)


def test_a_subject_of_another_kind_is_not_found() -> None:
    fields: dict[str, Any] = {"account": ACCOUNT, "by": ADMIN}
    assert isinstance(unit(token()).answer(EndSecrets(**fields, id=TOKEN, reason="leaked")), NotFound)
    work = unit(user("member"))
    assert isinstance(work.answer(replace(command_of(Suspend), id=user("member").id)), NotFound)


def test_a_reply_is_shown_again_only_to_a_caller_who_may_still_see_it() -> None:
    work, earlier = unit(token(), user("member"), None), Outcome(None, (), NOON, reply=b"secret", replayed=True)
    work.locked.rows[KEY] = Row(token(), None)
    assert work.replay(command_of(Rotate, secret=NEXT), earlier) is earlier
    reset = ChangePassword(account=ACCOUNT, id=user("member").id, by=ADMIN, password_hash="")
    assert work.replay(reset, earlier) is earlier
    assert done(work.answer(reset)).facts
    nobody = unit(None)
    assert isinstance(nobody.replay(creates(), earlier), SecretNoLongerAvailable)
    assert isinstance(unit(None, of=reset.id).replay(reset, earlier), SecretNoLongerAvailable)
    of = access_id_of(ACCOUNT, ADMIN.actor)
    reader = NoteAccess(account=ACCOUNT, id=of, by=ADMIN, reader=ADMIN.actor, calls={}, rows=0)
    assert isinstance(unit(None, of=reader.id).replay(reader, earlier), SecretNoLongerAvailable)


def test_an_outcome_without_a_subject_has_no_state() -> None:
    nothing = Outcome(None, (), NOON)
    for ask in (lambda: nothing.of(Token), lambda: nothing.subject):
        with pytest.raises(TypeError, match="this outcome is"):
            ask()
    assert acceptance_in(nothing.context) == ALONE


def test_a_command_states_which_rows_it_needs() -> None:
    plain: Callable[..., Command] = Command
    bare = plain(account=ACCOUNT, id=TOKEN, by=SYSTEM)
    assert (bare.principals, bare.reads_account, bare.guards, bare.digests, bare.users) == ((), False, (), (), ())
    assert (bare.has_unique_value, bare.pepper) == (False, None)
    lock = EndSecrets(account=ACCOUNT, id=ACCOUNT, by=ADMIN, reason="leaked")
    assert (lock.key, lock.lane) == ((ACCOUNT, ACCOUNT), ACCOUNT)
    assert creates(owner=owner_of(OTHER)).users == ((ACCOUNT, OTHER),)
    assert creates(trust=TRUST, secret=None).pepper is None
    fields: dict[str, Any] = {"account": ACCOUNT, "id": OTHER, "by": ADMIN}
    assert EnrolTotp(**fields, encrypted_seed=b"", last_step=0, recovery_digests=(), pepper_id=3).pepper == 3
    assert creates(by=SYSTEM).reads_account
    assert not exchanges(by=ANOTHER, actors=(ANOTHER.actor.id,)).reads_account  # its own row is enough
    assert command_of(Rotate, secret=NEXT, by=SYSTEM).reads_account
    assert KIND_OF[Sweep].caller(token()) is None
    assert KIND_OF[EndSecrets].principals(lock, None) == ()
    assert list(TOKEN_KIND.principals(exchanges(), token())) == []
