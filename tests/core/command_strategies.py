"""Strategies for commands to a few tokens, mostly valid ones, with the time that passes before each."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from hypothesis import strategies as st
from msgspec import UNSET

from core.histories import ACCOUNT, BORN, NEXT, SECRET
from counterfoil.core.principal import SYSTEM, Owner
from counterfoil.core.subjects.token.commands import (
    AnnounceGrace,
    ConfirmRotation,
    Create,
    Erase,
    Exchange,
    ExtendGrace,
    Held,
    Renew,
    Resume,
    Revoke,
    Rotate,
    Suspend,
    Sweep,
    TokenCommand,
    Update,
)

TOKENS = tuple(UUID(int=n) for n in range(1, 4))
_waits = st.sampled_from([timedelta(hours=h) for h in (0, 0, 1, 12, 30, 200)] + [timedelta(microseconds=1)])


def mostly(usual: Any, unusual: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Draw the usual value four times in five."""
    return st.sampled_from(range(5)).flatmap(lambda dice: unusual if dice == 4 else st.just(usual))


_scope = st.sampled_from(["a.x", "a.y", "a.*", "a.x.z", "a.x", "b.x", "b.*", "all", "all.x", "*", "a."])
_scopes = st.sampled_from([("a.x",), ("a.*",), ()]) | st.lists(_scope, max_size=3).map(tuple)
_texts = mostly("nightly", st.sampled_from(["weekly", "Ада", "", "a\x00b", "x" * 300]) | st.text(max_size=4))
_metadata = mostly({}, st.dictionaries(st.sampled_from(["team", "é"]), _texts, max_size=2))
_lifetimes = st.sampled_from(["1h", "26h", "8d", "40d", "8d", "forever", "0s", "soon", "99999w"])
_moments = st.integers(-100, 2500).map(lambda hours: BORN + timedelta(hours=hours))
_lives: st.SearchStrategy[dict[str, Any]] = st.one_of(
    _lifetimes.map(lambda said: {"lifetime": said}),
    _moments.map(lambda said: {"expires_at": said}),
    st.builds(dict, lifetime=_lifetimes, expires_at=_moments),
)
_graces = st.sampled_from([0, 3600, 10**6, -1])
_secrets = st.sampled_from([SECRET, NEXT])
_based_on = {"revisions": mostly(None, st.frozensets(st.integers(1, 4), max_size=3))}


def _asks(
    command: type[TokenCommand],
    lifetime: st.SearchStrategy[dict[str, Any]] | None = None,
    **fields: st.SearchStrategy[Any],
) -> st.SearchStrategy[TokenCommand]:
    fixed = {"account": st.just(ACCOUNT), "id": st.sampled_from(TOKENS), "by": st.just(SYSTEM), **fields}
    return st.builds(
        lambda said, lives: command(**said, **lives),
        st.fixed_dictionaries(fixed),
        st.just({}) if lifetime is None else lifetime,
    )


def _or_unset(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.just(UNSET) | strategy


_creates = _asks(
    Create, _lives, number=st.integers(1, 99), name=_texts, secret=_secrets, description=_texts, scopes=_scopes,
    owner=mostly(Owner("application", "ada"), st.just(Owner("service", "a b"))), metadata=_metadata,
    thresholds=st.sampled_from([(), (86_400,), (7 * 86_400, 86_400)]), dialect=st.sampled_from(["native", "vendor"]),
    may_have_expired=st.booleans(),
)  # fmt: skip
_updates = _asks(
    Update, name=_or_unset(_texts), description=_or_unset(_texts), scopes=_or_unset(_scopes),
    metadata=_or_unset(_metadata), previous_until=_or_unset(_moments), **_based_on,
)  # fmt: skip
_renews = _asks(Renew, _lives | st.just({}), **_based_on)
_rotates = _asks(
    Rotate, mostly({}, _lives), grace_seconds=_graces, previous_until=mostly(None, _moments), secret=_secrets,
    forgets_use=st.booleans(), ends_previous=st.booleans(), **_based_on,
)  # fmt: skip
_confirms = _asks(ConfirmRotation, even_if_unused=st.booleans(), **_based_on)
_extends = _asks(ExtendGrace, grace_seconds=st.sampled_from([1, 3600, 10**6, 10**7, 0, 10**9]), **_based_on)
_announces = _asks(AnnounceGrace, notice_seconds=st.sampled_from([60, 86_400]))
_audiences = mostly((), st.lists(_texts, max_size=2).map(tuple))
_held = st.builds(Held, _scopes, _audiences, _moments)
_exchanges = _asks(
    Exchange, generation=st.sampled_from([1, 1, 1, 2, 2, 3, 0]), jti=st.uuids(), scopes=mostly(None, _scopes),
    lifetime_seconds=st.sampled_from([60, 10**7]), audience=_audiences, held=mostly(None, _held),
    actors=mostly((), st.sampled_from([(TOKENS[0],), TOKENS])),
)  # fmt: skip
_suspends, _resumes = _asks(Suspend, reason=_texts, **_based_on), _asks(Resume, **_based_on)
_revokes, _erases = _asks(Revoke, reason=_texts, **_based_on), _asks(Erase, **_based_on)

_often = [_asks(Sweep), _asks(Sweep), _exchanges, _renews, _rotates, _updates, _suspends, _resumes,
          _confirms, _extends, _announces]  # fmt: skip
_commands = st.sampled_from([*_often * 3, _creates, _creates, _erases, _revokes]).flatmap(lambda one: one)
_callers = st.sampled_from([0, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6])

STEPS = st.lists(st.tuples(_commands, _callers, _waits), min_size=15, max_size=60)
"""A command (by the system; the player of a step replaces the caller), one of seven callers, and a pause."""
