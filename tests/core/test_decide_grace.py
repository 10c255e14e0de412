"""After a rotation: the previous secret is ended or kept on by a decision, and its end is announced to laggards."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from core.histories import (
    ACCOUNT,
    BORN,
    CREATED,
    DAY,
    ENDS,
    HOUR,
    ITSELF,
    LATER,
    NOON,
    REVOKED,
    SECOND,
    SUSPENDED,
    command_of,
    given,
    holding,
    rotated,
)
from counterfoil.core.principal import Owner, Principal
from counterfoil.core.refusals import (
    AlreadyRevoked,
    BadDuration,
    BeyondCaller,
    NewSecretUnused,
    PreviousSecretEnded,
    SecretRetired,
    StaleRevision,
)
from counterfoil.core.subjects.token.acceptance import Context, refusal_for
from counterfoil.core.subjects.token.commands import AnnounceGrace, ConfirmRotation, ExtendGrace, Renew, Update
from counterfoil.core.subjects.token.events import GraceEnding, GraceExtended, RotationConfirmed
from counterfoil.core.subjects.token.secret_uses import QUIET, NetworkUses, SecretUses, quiet_since

GRACE_ENDS = NOON + 4 * DAY
IN_GRACE = (CREATED, (NOON, rotated(2, GRACE_ENDS)))
NEVER_ROTATED = (CREATED,)
NET, ELSEWHERE = "203.0.113.0/24", "2001:db8::/64"
DAY_BEFORE = GRACE_ENDS - DAY
NEW_HOLDER = Principal(actor=ITSELF.actor, account=ACCOUNT, scopes=("tokens.*",), expires_at=ENDS, generation=2)
OLD_HOLDER = Principal(actor=ITSELF.actor, account=ACCOUNT, scopes=("tokens.*",), expires_at=GRACE_ENDS, generation=1)


def used(*networks: NetworkUses, generation: int = 2) -> Context:
    return Context(secret_uses=SecretUses(generation, networks))


def old(at: datetime, network: str = NET, uses: int = 1) -> NetworkUses:
    return NetworkUses(network=network, previous=uses, previous_last_at=at)


def moved(before: datetime, after: datetime, network: str = NET) -> NetworkUses:
    return NetworkUses(network=network, previous=1, previous_last_at=before, present=1, present_last_at=after)


NEW_USED = used(NetworkUses(network=NET, present=1, present_last_at=NOON))


def confirm(**fields: Any) -> ConfirmRotation:
    return command_of(ConfirmRotation, **fields)


def extend(grace: float, **fields: Any) -> ExtendGrace:
    return command_of(ExtendGrace, grace_seconds=int(grace), **fields)


def announce(notice: int = 86_400) -> AnnounceGrace:
    return command_of(AnnounceGrace, notice_seconds=notice)


def test_a_confirmation_ends_the_previous_secret_when_the_new_one_was_used() -> None:
    story = given(*IN_GRACE)
    assert story.when(confirm(), NOON + HOUR, NEW_USED) == [RotationConfirmed(ended_early=GRACE_ENDS)]
    after = given(*IN_GRACE, (NOON + HOUR, RotationConfirmed(ended_early=GRACE_ENDS))).token
    assert isinstance(refusal_for(after, 1, NOON + HOUR), SecretRetired)
    assert refusal_for(after, 2, NOON + HOUR) is None
    assert (after.previous_until, after.revision) == (None, 3)


@pytest.mark.parametrize(
    "uses",
    [used(), used(old(NOON)), used(NetworkUses(network=NET, present=3, present_last_at=NOON), generation=1)],
    ids=["no use", "uses of the previous secret", "uses since an earlier rotation"],
)
def test_while_the_new_secret_was_never_used_a_confirmation_is_refused(uses: Context) -> None:
    with pytest.raises(NewSecretUnused, match="even_if_unused") as refused:
        given(*IN_GRACE).when(confirm(), NOON + HOUR, uses)
    assert refused.value.facts == {"until": GRACE_ENDS.isoformat()}


def test_a_caller_may_insist_and_the_event_says_so() -> None:
    insisted = given(*IN_GRACE).when(confirm(even_if_unused=True), NOON + HOUR)
    assert insisted == [RotationConfirmed(ended_early=GRACE_ENDS, unused=True)]
    needless = given(*IN_GRACE).when(confirm(even_if_unused=True), NOON + HOUR, NEW_USED)
    assert needless == [RotationConfirmed(ended_early=GRACE_ENDS)]


def test_a_token_that_confirms_with_its_new_secret_has_used_it() -> None:
    assert given(*IN_GRACE).when(confirm(by=NEW_HOLDER)) == [RotationConfirmed(ended_early=GRACE_ENDS)]


@pytest.mark.parametrize("command", [confirm(even_if_unused=True), extend(30 * 86_400)])
@pytest.mark.parametrize("caller", [OLD_HOLDER, holding("mail.send"), holding("tokens.*", expires_at=NOON + DAY)])
def test_a_caller_decides_about_no_grace_of_a_token_that_holds_more(command: Any, caller: Principal) -> None:
    asked = command_of(
        type(command),
        by=caller,
        **{name: getattr(command, name) for name in ("even_if_unused", "grace_seconds") if hasattr(command, name)},
    )
    with pytest.raises(BeyondCaller):
        given(*IN_GRACE).when(asked)


def test_a_second_confirmation_and_one_after_the_grace_change_nothing() -> None:
    confirmed = (*IN_GRACE, (NOON, RotationConfirmed(ended_early=GRACE_ENDS)))
    assert given(*confirmed).when(confirm(), NOON + HOUR) == []
    assert given(*IN_GRACE).when(confirm(), GRACE_ENDS) == []
    assert given(CREATED, (NOON, rotated(2, None))).when(confirm(), NOON + HOUR) == []
    ended_with_all_others = Context(epoch=1)
    assert given(*IN_GRACE).when(confirm(), NOON + HOUR, ended_with_all_others) == []


def test_a_token_that_was_never_rotated_has_nothing_to_confirm() -> None:
    with pytest.raises(PreviousSecretEnded, match="never rotated"):
        given(*NEVER_ROTATED).when(confirm(even_if_unused=True))


def test_an_extension_moves_the_end_of_the_previous_secret() -> None:
    assert given(*IN_GRACE).when(extend(10 * 86_400), NOON + DAY) == [GraceExtended(previous_until=NOON + 11 * DAY)]
    token = given(*IN_GRACE).then(extend(10 * 86_400), NOON + DAY)
    assert (token.previous_until, token.rotated_at, token.grace_start) == (NOON + 11 * DAY, NOON, NOON + DAY)
    assert refusal_for(token, 1, GRACE_ENDS) is None
    assert isinstance(refusal_for(token, 1, NOON + 11 * DAY), SecretRetired)


@pytest.mark.parametrize("seconds", [0, -1, 366 * 86_400 + 1, 2**63, 4 * 86_400, 3600])
def test_an_extension_is_longer_than_the_present_grace_and_at_most_a_leap_year(seconds: int) -> None:
    with pytest.raises(BadDuration) as refused:
        given(*IN_GRACE).when(extend(seconds), NOON)
    assert refused.value.facts == {"field": "grace"}


def test_all_extensions_together_end_a_leap_year_after_the_rotation() -> None:
    story = given(*IN_GRACE)
    assert story.when(extend(365 * 86_400), NOON + DAY) == [GraceExtended(previous_until=NOON + 366 * DAY)]
    with pytest.raises(BadDuration, match="after the rotation"):
        story.when(extend(365 * 86_400 + 1), NOON + DAY)


@pytest.mark.parametrize(
    "story",
    [
        (*IN_GRACE, (NOON, RotationConfirmed(ended_early=GRACE_ENDS))),
        (CREATED, (NOON, rotated(2, None))),
        NEVER_ROTATED,
    ],
    ids=["confirmed", "rotated without a grace", "never rotated"],
)
def test_a_secret_that_has_ended_never_comes_back(story: tuple[Any, ...]) -> None:
    with pytest.raises(PreviousSecretEnded):
        given(*story).when(extend(86_400), NOON + HOUR)


def test_at_its_exact_end_a_grace_can_no_longer_be_extended() -> None:
    assert given(*IN_GRACE).when(extend(86_400), GRACE_ENDS - SECOND)
    with pytest.raises(PreviousSecretEnded):
        given(*IN_GRACE).when(extend(86_400), GRACE_ENDS)
    with pytest.raises(PreviousSecretEnded):
        given(*IN_GRACE).when(extend(30 * 86_400), NOON + HOUR, Context(epoch=1))


def test_the_grace_of_an_expired_token_is_extended_after_its_renewal() -> None:
    story = (CREATED, (ENDS - HOUR, rotated(2, ENDS + DAY)))
    with pytest.raises(PreviousSecretEnded, match="renew it first"):
        given(*story).when(extend(2 * 86_400), ENDS)
    renewed = given(*story)
    renewed.state = renewed.then(command_of(Renew, lifetime="30d"), ENDS)
    assert renewed.when(extend(2 * 86_400), ENDS) == [GraceExtended(previous_until=ENDS + 2 * DAY)]


def test_a_suspended_token_stays_suspended_while_its_rotation_is_decided() -> None:
    story = (*IN_GRACE, (NOON, SUSPENDED))
    assert given(*story).then(extend(30 * 86_400), NOON + HOUR).status == "suspended"
    assert given(*story).when(confirm(), NOON + HOUR, NEW_USED) == [RotationConfirmed(ended_early=GRACE_ENDS)]
    with pytest.raises(NewSecretUnused):
        given(*story).when(confirm(), NOON + HOUR)


@pytest.mark.parametrize("command", [confirm, lambda **fields: extend(86_400, **fields)])
def test_of_a_revoked_token_or_an_older_revision_nothing_is_decided(command: Any) -> None:
    with pytest.raises(AlreadyRevoked):
        given(*IN_GRACE, REVOKED).when(command())
    with pytest.raises(StaleRevision):
        given(*IN_GRACE).when(command(revisions=frozenset({1})))


def test_the_end_of_a_grace_is_announced_while_the_previous_secret_is_in_use() -> None:
    laggard = used(old(DAY_BEFORE - HOUR, uses=7), moved(NOON + HOUR, NOON + 2 * HOUR, ELSEWHERE))
    assert given(*IN_GRACE).when(announce(), DAY_BEFORE, laggard) == [
        GraceEnding(threshold=86_400, previous_until=GRACE_ENDS, uses=8, last_used_at=DAY_BEFORE - HOUR)
    ]


def test_a_grace_is_announced_at_half_of_it_at_the_latest() -> None:
    short = (CREATED, (NOON, rotated(2, NOON + HOUR)))
    half, laggard = NOON + HOUR / 2, used(old(NOON + SECOND))
    assert given(*short).when(announce(), half - SECOND, laggard) == []
    (event,) = given(*short).when(announce(), half, laggard)
    assert isinstance(event, GraceEnding)
    assert event.threshold == 1800


def test_a_grace_is_announced_once() -> None:
    laggard = used(old(DAY_BEFORE))
    (event,) = given(*IN_GRACE).when(announce(), DAY_BEFORE, laggard)
    announced = given(*IN_GRACE, (DAY_BEFORE, event))
    assert announced.token.grace_announced == 86_400
    assert announced.when(announce(), DAY_BEFORE + HOUR, laggard) == []
    assert announced.token.revision == given(*IN_GRACE).token.revision


def test_an_extended_grace_is_announced_anew() -> None:
    announcing = GraceEnding(threshold=86_400, previous_until=GRACE_ENDS, uses=1, last_used_at=DAY_BEFORE)
    for change in (extend(8 * 86_400), command_of(Update, previous_until=DAY_BEFORE + 8 * DAY)):
        story = given(*IN_GRACE, (DAY_BEFORE, announcing))
        story.state = story.then(change, DAY_BEFORE)
        assert story.token.grace_announced is None
        later = DAY_BEFORE + 7 * DAY
        assert story.when(announce(), later - SECOND, used(old(later))) == []
        assert len(story.when(announce(), later, used(old(later)))) == 1


@pytest.mark.parametrize(
    ("at", "uses"),
    [
        (DAY_BEFORE - SECOND, used(old(DAY_BEFORE - HOUR))),
        (DAY_BEFORE, used()),
        (DAY_BEFORE, used(old(DAY_BEFORE - HOUR), generation=1)),
        (DAY_BEFORE, used(NetworkUses(network=NET, present=1, present_last_at=NOON))),
        (DAY_BEFORE, used(moved(DAY_BEFORE - 13 * HOUR, DAY_BEFORE - 12 * HOUR))),
        (GRACE_ENDS, used(old(GRACE_ENDS - HOUR))),
    ],
    ids=["too early", "no use", "another rotation", "only the new secret", "all have moved", "at the exact end"],
)
def test_nothing_is_announced(at: datetime, uses: Context) -> None:
    assert given(*IN_GRACE).when(announce(), at, uses) == []


def test_nothing_is_announced_of_a_token_whose_end_is_another_one() -> None:
    laggard = used(old(DAY_BEFORE))
    assert given(*NEVER_ROTATED).when(announce(), DAY_BEFORE, laggard) == []
    assert given(*IN_GRACE, (NOON, REVOKED)).when(announce(), DAY_BEFORE, laggard) == []
    assert given(*IN_GRACE).when(announce(), DAY_BEFORE, Context(epoch=1, secret_uses=laggard.secret_uses)) == []
    assert (
        given(*IN_GRACE).when(announce(), DAY_BEFORE, Context(owner="removed", secret_uses=laggard.secret_uses)) == []
    )
    late = (CREATED, (ENDS - HOUR, rotated(2, LATER)))
    assert given(*late).when(announce(10**9), ENDS + DAY, used(old(ENDS - SECOND))) == []


def test_a_suspended_token_is_announced_since_it_may_be_resumed() -> None:
    assert len(given(*IN_GRACE, (NOON, SUSPENDED)).when(announce(), DAY_BEFORE, used(old(NOON)))) == 1


def test_a_network_has_moved_once_it_uses_only_the_new_secret() -> None:
    since = NOON
    assert NetworkUses(network=NET, present=1, present_last_at=NOON).has_moved(since)
    assert moved(NOON - HOUR, NOON - SECOND).has_moved(since)
    assert not moved(NOON - HOUR, NOON - 2 * HOUR).has_moved(since)
    assert not old(NOON - HOUR).has_moved(since)
    assert not moved(NOON + SECOND, NOON + 2 * SECOND).has_moved(since), "one caller behind a shared address may lag"


def test_what_counts_as_recent_is_a_quarter_of_a_short_grace() -> None:
    assert quiet_since(NOON, grace=HOUR) == NOON - HOUR / 4
    assert quiet_since(NOON, grace=30 * DAY) == quiet_since(NOON, grace=None) == NOON - QUIET


def test_the_uses_of_two_networks_are_summed() -> None:
    uses = SecretUses(2, (old(NOON, uses=3), moved(NOON + SECOND, NOON + HOUR, ELSEWHERE)))
    assert (uses.previous, uses.previous_last_at, uses.present_last_at) == (4, NOON + SECOND, NOON + HOUR)
    assert [each.network for each in uses.behind(NOON + HOUR)] == [NET]
    assert (SecretUses().previous, SecretUses().previous_last_at, SecretUses().present_last_at) == (0, None, None)
    assert uses.of(2) is uses
    assert uses.of(3) == SecretUses(3)


def test_a_confirmation_and_an_extension_change_nothing_but_the_grace() -> None:
    before = given(*IN_GRACE).token
    for event in (RotationConfirmed(ended_early=GRACE_ENDS), GraceExtended(previous_until=LATER)):
        after = given(*IN_GRACE, (NOON + HOUR, event)).token
        own = {"previous_until", "grace_start", "version", "revision", "at", "updated_at"}
        differing = {name for name in before.__struct_fields__ if getattr(before, name) != getattr(after, name)}
        assert differing == own
    assert (before.owner, before.created_at) == (Owner("application", "billing"), BORN)
    assert timedelta(0) < GRACE_ENDS - NOON
