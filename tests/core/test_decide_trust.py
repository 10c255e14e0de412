"""A token with a trust: created, changed and exchanged, and never with a secret."""

from ipaddress import ip_address
from typing import Any
from uuid import UUID

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from core.histories import (
    ADMIN,
    ANOTHER,
    CREATED,
    ENDS,
    HOUR,
    JTI,
    NEXT,
    NOON,
    REVOKED,
    SECRET,
    SUSPENDED,
    TOKEN,
    Given,
    command_of,
    fact,
    given,
)
from core.test_callers import asking
from core.test_trust import CLAIMS, GITHUB, TRUST, US, claims
from counterfoil.core.bounds import Bounds
from counterfoil.core.caller_recheck import UserCaller, maker_of
from counterfoil.core.chain import Chain
from counterfoil.core.principal import Actor, Owner, Principal, handed_on
from counterfoil.core.refusals import (
    BadTrust,
    BeyondCaller,
    MakerGone,
    NoSecret,
    NoTrust,
    PreviousSecretEnded,
    Refusal,
    SecretEnded,
    SecretRetired,
    TokenExpired,
    TokenNetworkForbidden,
    TokenRevoked,
    TokenSuspended,
    TrustRefused,
    UnknownSecret,
)
from counterfoil.core.subjects.token.acceptance import ALONE, Context
from counterfoil.core.subjects.token.commands import Create, Exchange, Held, Rotate, Update
from counterfoil.core.subjects.token.events import Asserted, Created, Exchanged, Updated
from counterfoil.core.subjects.token.state import Token
from counterfoil.core.subjects.user import User
from counterfoil.core.subjects.user_events import UserCreated
from counterfoil.core.trust import Assertion

TRUSTING = replace(CREATED, hint="", trust=TRUST, scopes=("deploy.*", "own.read"))
ONCE = replace(TRUSTING, trust=replace(TRUST, once=True))
OTHER = replace(TRUST, audience="https://other.example")
ASSERTION = Assertion(issuer=GITHUB, audience=US, claims=CLAIMS)
MAKER = replace(ADMIN, owner=Owner("user", str(ADMIN.actor.id)))
AROUND = Context(maker=MAKER)
BOUGHT = Asserted(
    issuer=GITHUB, jti=ASSERTION.digest.hex() if ASSERTION.digest else None,
    claims={"sub": str(CLAIMS["sub"]), "repository": "acme/app", "ref": "refs/heads/main"},
)  # fmt: skip


def create(**fields: Any) -> Create:
    wanted = {"number": 7, "owner": CREATED.owner, "name": "deploy", "secret": None, "trust": TRUST}
    return command_of(Create, **{**wanted, **fields})


def exchange(**fields: Any) -> Exchange:
    return command_of(
        Exchange, **{"generation": 0, "jti": JTI, "lifetime_seconds": 3_600, "assertion": ASSERTION, **fields}
    )


def bearer(story: Given, context: Context = AROUND, **fields: Any) -> Exchanged:
    [event] = story.when(exchange(**fields), NOON, context)
    assert isinstance(event, Exchanged)
    return event


def test_a_token_with_a_trust_has_no_secret() -> None:
    [event] = given().when(create())
    assert isinstance(event, Created)
    assert (event.trust, event.hint, event.imported) == (TRUST, "", None)
    token = given().then(create())
    assert (token.trust, token.trust_by) == (TRUST, ADMIN.actor)
    assert (given(CREATED).token.trust, given(CREATED).token.trust_by) == (None, None)


@pytest.mark.parametrize("fields", [{"secret": SECRET}, {"trust": None}])
def test_a_token_has_either_a_secret_or_a_trust(fields: Any) -> None:
    with pytest.raises(TypeError):
        given().when(create(**fields))


def test_an_invalid_trust_is_refused() -> None:
    everybody = replace(TRUST, claims={})
    for story, command in ((given(), create(trust=everybody)), (given(TRUSTING), command_of(Update, trust=everybody))):
        with pytest.raises(BadTrust):
            story.when(command)


def test_an_exchange_event_names_the_deciding_claims_and_no_other() -> None:
    assert bearer(given(TRUSTING), scopes=("deploy.run",)) == Exchanged(
        jti=JTI, generation=1, audience=(), scopes=("deploy.run",), expires_at=NOON + HOUR, assertion=BOUGHT
    )
    unnamed = replace(ASSERTION, claims=claims(jti=None))
    assert replace(BOUGHT, jti=None) == bearer(given(TRUSTING), assertion=unnamed).assertion
    assert given(CREATED).when(replace(exchange(), assertion=None, generation=1))[0].assertion is UNSET  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("history", "assertion", "refusal"),
    [
        ((CREATED,), ASSERTION, UnknownSecret),
        ((TRUSTING,), replace(ASSERTION, issuer="https://other.example"), TrustRefused),
        ((TRUSTING,), replace(ASSERTION, audience="https://other.example"), TrustRefused),
        ((TRUSTING,), replace(ASSERTION, claims=claims(ref="refs/heads/evil")), TrustRefused),
        ((replace(TRUSTING, trust=OTHER),), replace(ASSERTION, audience=OTHER.audience), TrustRefused),
        ((ONCE,), replace(ASSERTION, claims=claims(jti="")), TrustRefused),
        ((TRUSTING, REVOKED), replace(ASSERTION, claims=claims(ref="x")), TrustRefused),
        ((TRUSTING, REVOKED), ASSERTION, TokenRevoked),
        ((TRUSTING, SUSPENDED), ASSERTION, TokenSuspended),
        ((replace(TRUSTING, expires_at=NOON),), ASSERTION, TokenExpired),
    ],
)  # fmt: skip
def test_a_refused_jwt_learns_nothing_and_an_ended_token_gives_nothing(
    history: Any, assertion: Assertion, refusal: type[Refusal]
) -> None:
    with pytest.raises(refusal):
        given(*history).when(exchange(assertion=assertion), NOON, AROUND)


def test_a_token_with_a_trust_never_gets_a_secret() -> None:
    with pytest.raises(NoSecret):
        given(TRUSTING).when(command_of(Rotate, secret=NEXT))
    with pytest.raises(PreviousSecretEnded):
        given(TRUSTING).when(command_of(Update, previous_until=ENDS))
    with pytest.raises(NoTrust):
        given(CREATED).when(command_of(Update, trust=TRUST))


def test_a_new_trust_ends_the_bearers_of_the_previous_one() -> None:
    assert given(TRUSTING).when(command_of(Update, trust=OTHER)) == [Updated(trust=OTHER, epoch=0)]
    token = given(TRUSTING).then(command_of(Update, trust=OTHER, by=replace(ANOTHER, scopes=("all",))))
    assert (token.trust, token.trust_by, token.generation, token.revision) == (OTHER, ANOTHER.actor, 2, 2)
    story = given(TRUSTING, (NOON, Updated(trust=OTHER, epoch=0)))
    held = Held(("deploy.run",), ("mail",), NOON + HOUR)
    with pytest.raises(SecretRetired):
        story.when(exchange(assertion=None, generation=1, held=held), NOON, AROUND)
    assert bearer(story, assertion=None, generation=2, held=held).scopes == ("deploy.run",)


def test_the_same_trust_changes_only_its_maker() -> None:
    assert given(TRUSTING).when(command_of(Update, trust=TRUST)) == []
    another = replace(ANOTHER, scopes=("all",))
    assert given(TRUSTING).when(command_of(Update, trust=TRUST, by=another)) == [Updated(trust=TRUST, epoch=0)]


def test_a_trust_ends_with_all_secrets_and_is_good_when_stated_again() -> None:
    later = Context(epoch=1, maker=MAKER)
    with pytest.raises(SecretEnded, match="state its trust again"):
        given(TRUSTING).when(exchange(), NOON, later)
    again = given(TRUSTING).when(command_of(Update, trust=TRUST), NOON, later)
    assert again == [Updated(trust=TRUST, epoch=1)]
    assert bearer(given(TRUSTING, *again), later).generation == 2


def test_a_caller_cannot_state_a_trust_for_a_token_that_holds_more() -> None:
    for by in (replace(ANOTHER, scopes=("deploy.run",)), replace(ADMIN, expires_at=NOON + HOUR)):
        with pytest.raises(BeyondCaller):
            given(TRUSTING).when(command_of(Update, trust=OTHER, by=by))


def test_a_token_cannot_make_its_own_trust() -> None:
    itself = Principal(actor=Actor("token", TOKEN), account=ADMIN.account, scopes=("all",))
    with pytest.raises(BeyondCaller, match="cannot state its own trust"):
        given(TRUSTING).when(command_of(Update, trust=TRUST, by=itself))
    assert given(TRUSTING).when(command_of(Update, name="other", by=itself))


def test_a_caller_who_adds_scopes_becomes_the_maker_and_one_who_removes_them_does_not() -> None:
    another = replace(ANOTHER, scopes=("all",))
    wider = given(TRUSTING).then(command_of(Update, scopes=("deploy.*", "own.read", "mail.send"), by=another))
    assert (wider.trust_by, wider.generation) == (another.actor, 1)
    assert given(TRUSTING).then(command_of(Update, scopes=("deploy.run",), by=another)).trust_by == ADMIN.actor
    assert given(TRUSTING).then(command_of(Update, name="other", by=another)).trust_by == ADMIN.actor
    assert given(CREATED).then(command_of(Update, scopes=("tokens.read", "a"), by=another)).trust_by is None


def test_a_bearer_is_cut_to_what_the_maker_holds_at_the_exchange() -> None:
    less = replace(MAKER, scopes=("deploy.run", "mail.send"))
    assert bearer(given(TRUSTING), Context(maker=less)).scopes == ("deploy.run",)
    with pytest.raises(BeyondCaller):
        given(TRUSTING).when(exchange(scopes=("deploy.*",)), NOON, Context(maker=less))
    assert bearer(given(TRUSTING), Context(maker=replace(MAKER, scopes=()))).scopes == ()
    # A bearer exchanged for this bearer holds no more than it.
    held = Held(("deploy.*",), ("mail",), NOON + HOUR)
    again = bearer(given(TRUSTING), Context(maker=less), assertion=None, generation=1, held=held)
    assert again.scopes == ("deploy.run",)


def test_a_removed_maker_gives_nothing() -> None:
    with pytest.raises(MakerGone):
        given(TRUSTING).when(exchange(), NOON, ALONE)


def test_a_bearer_is_bound_by_expiry_of_token_and_maker_and_by_the_makers_networks() -> None:
    passing = replace(MAKER, expires_at=NOON + HOUR / 2, bounds=Bounds(networks=("192.0.2.0/24",)))
    context, inside = Context(maker=passing), ip_address("192.0.2.9")
    assert bearer(given(TRUSTING), context, address=inside).expires_at == NOON + HOUR / 2
    with pytest.raises(TokenNetworkForbidden):
        given(TRUSTING).when(exchange(address=ip_address("198.51.100.1")), NOON, context)
    short = replace(TRUSTING, expires_at=NOON + HOUR / 4)
    assert bearer(given(short), context, address=inside).expires_at == NOON + HOUR / 4


def test_a_maker_hands_over_only_to_a_caller_who_holds_as_much() -> None:
    maker = replace(MAKER, scopes=("deploy.*", "own.read", "own.rotate"))
    assert handed_on(maker, ("deploy.run", "own.read"), owner=Owner("service", "x")) == ("deploy.run",)
    assert handed_on(maker, ("deploy.run", "own.read"), owner=MAKER.owner or CREATED.owner) == (
        "deploy.run", "own.read",
    )  # fmt: skip


def test_the_makers_rights_are_read_at_the_exchange() -> None:
    by = Principal(actor=Actor("token", TOKEN), account=ADMIN.account, scopes=())
    token = replace(given(CREATED).token, scopes=("deploy.run",))
    maker = maker_of(asking(token), by, NOON)
    assert maker == replace(by, scopes=("deploy.run",), owner=token.owner, expires_at=token.expires_at)
    assert maker_of(asking(given(CREATED, REVOKED).token), by, NOON) is None
    assert maker_of(asking(token, Context(owner="removed")), by, NOON) is None
    assert maker_of(None, by, NOON) is None
    user = User.created(fact(UserCreated(role="member"), version=1), role="member", scopes=("mail.send",), generation=1)
    made = maker_of(UserCaller(user), replace(by, actor=Actor("user", user.id)), NOON)
    assert made is not None
    assert (made.scopes, made.owner) == (user.held, Owner("user", str(user.id)))
    assert maker_of(UserCaller(replace(user, status="disabled")), by, NOON) is None


def test_the_audit_expects_no_secret_for_a_token_with_a_trust() -> None:
    for state, kept, wrong in (
        (given(TRUSTING).token, [], []),
        (given(TRUSTING).token, [(1, 1)], ["secret-of-nothing"]),
        (given(CREATED).token, [], ["secret-missing"]),
    ):
        assert [finding.what for finding in _chain(state).secrets(kept)] == wrong


def _chain(state: Token) -> Chain:
    chain = Chain(state.account, UUID(int=1))
    chain.state = state
    return chain
