"""Spreading expiries: never beyond what a token may have, never in the past, and never a new cliff."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterfoil.core.cliffs import RULE, Cliff, CliffRule, Movable, Slots, spread

NOW = datetime(2026, 11, 28, 9, 30, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
SLOTS = Slots(NOW.replace(hour=0, minute=0), DAY)
END = SLOTS.begin(90)


def token(number: int, ends: datetime, *, earliest: datetime = NOW + 7 * DAY, latest: datetime = END) -> Movable:
    return Movable(UUID(int=number), ends, earliest, latest)


def counted(ends: list[datetime]) -> dict[int, int]:
    found: dict[int, int] = {}
    for each in ends:
        found[SLOTS.of(each)] = found.get(SLOTS.of(each), 0) + 1
    return found


def fullest(ends: list[datetime], window: timedelta = DAY) -> Cliff:
    """The fullest window, found by trying each."""
    counts = [(sum(start <= each < start + window for each in ends), start) for start in ends]
    used, start = max(counts, key=lambda found: (found[0], -found[1].timestamp()))
    return Cliff(start, used)


def spread_cliff(tokens: list[Movable], rule: CliffRule = RULE) -> dict[UUID, datetime]:
    """The plan for the fullest window, if that is a cliff."""
    ends = [each.expires_at for each in tokens]
    cliff, limit = fullest(ends), rule.limit(len(ends))
    cliffs = [cliff] if cliff.used > limit else []
    return spread(tokens, counted(ends), crowded=SLOTS.crowded(cliffs), slots=SLOTS, limit=limit)


@pytest.mark.parametrize(("used", "limit"), [(0, 9), (10, 9), (50, 9), (51, 10), (100, 19), (101, 20), (1_000, 199)])
def test_a_cliff_needs_a_number_and_a_share(used: int, limit: int) -> None:
    assert RULE.limit(used) == limit
    assert limit + 1 >= RULE.least
    assert (limit + 1) * 100 >= used * RULE.percent


def test_slots_are_days_in_utc_and_a_cliff_lies_in_two() -> None:
    assert [SLOTS.of(SLOTS.start + n * HOUR) for n in (-1, 0, 23, 24)] == [-1, 0, 0, 1]
    cliffs = [Cliff(SLOTS.begin(9), 3), Cliff(SLOTS.begin(4) + HOUR, 8), Cliff(SLOTS.begin(9) + HOUR, 2)]
    assert SLOTS.crowded(cliffs) == [4, 9]


def test_a_cliff_is_spread_to_the_nearest_days_and_each_token_keeps_its_time_of_day() -> None:
    ends = SLOTS.begin(30) + 10 * HOUR
    moves = spread_cliff([token(n, ends) for n in range(30)])
    days = counted([moves.get(UUID(int=n), ends) for n in range(30)])
    assert days == {30: 9, 28: 4, 32: 4, 33: 4, 27: 4, 34: 4, 26: 1}
    assert {each.time() for each in moves.values()} == {ends.time()}


def test_tokens_without_a_place_keep_their_expiries() -> None:
    ends = SLOTS.begin(30)
    pinned = [token(n, ends, earliest=ends, latest=ends) for n in range(20)]
    assert spread_cliff(pinned) == {}
    free = [token(n, ends) for n in range(20, 25)]
    moves = spread_cliff([*pinned, *free])
    assert set(moves) == {each.id for each in free}


def test_two_cliffs_with_a_common_day_move_no_token_twice() -> None:
    tokens = [token(n, SLOTS.begin(30 + n % 3)) for n in range(60)]
    used = counted([each.expires_at for each in tokens])
    moves = spread(tokens, used, crowded=[30, 31, 30], slots=SLOTS, limit=12)
    after = counted([moves.get(each.id, each.expires_at) for each in tokens])
    assert all(after.get(n, 0) + after.get(n + 1, 0) <= 12 for n in range(90))
    assert sum(after.values()) == 60


def test_what_is_no_cliff_is_left_alone() -> None:
    assert spread_cliff([token(n, SLOTS.begin(10 + n)) for n in range(40)]) == {}


@st.composite
def populations(draw: st.DrawFn) -> list[Movable]:
    """Tokens whose expiries crowd around few days, each with bounds of its own."""
    days = draw(st.lists(st.integers(0, 88), min_size=1, max_size=4))
    tokens = []
    for number in range(draw(st.integers(1, 80))):
        ends = NOW + draw(st.sampled_from(days)) * DAY + draw(st.integers(1, 47)) * HOUR
        earliest = NOW + draw(st.integers(1, 20)) * DAY
        tokens.append(token(number, ends, earliest=earliest, latest=NOW + draw(st.integers(0, 88)) * DAY))
    return tokens


@given(populations(), st.integers(2, 20), st.integers(1, 100))
def test_spreading_never_leaves_the_bounds_nor_makes_a_day_fuller_than_the_cliff(
    tokens: list[Movable], least: int, percent: int
) -> None:
    rule = CliffRule(DAY, least, percent)
    moves = spread_cliff(tokens, rule)
    by_id = {each.id: each for each in tokens}
    for moved, ends in moves.items():
        each = by_id[moved]
        assert NOW < each.earliest <= ends <= each.latest
        assert (ends - each.expires_at) % DAY == timedelta(0)
        assert ends != each.expires_at
    before = [each.expires_at for each in tokens]
    after = [moves.get(each.id, each.expires_at) for each in tokens]
    limit, old, new = rule.limit(len(tokens)), counted(before), counted(after)
    assert len(after) == sum(new.values()) == sum(old.values())
    assert max(new.values()) <= max(old.values())
    assert fullest(after).used <= fullest(before).used
    for day, used in new.items():
        assert used <= max(old.get(day, 0), limit)


@given(populations(), st.integers(2, 20), st.integers(1, 100))
def test_tokens_that_may_end_anywhere_leave_no_cliff_and_a_second_plan_is_empty(
    tokens: list[Movable], least: int, percent: int
) -> None:
    rule = CliffRule(DAY, least, min(percent, 20))
    free = [token(n, each.expires_at, earliest=NOW, latest=END) for n, each in enumerate(tokens)]
    for _ in range(len(free)):  # one plan for each cliff; the fullest window is spread each time
        moves = spread_cliff(free, rule)
        if not moves:
            break
        free = [Movable(each.id, moves.get(each.id, each.expires_at), each.earliest, each.latest) for each in free]
    ends = [each.expires_at for each in free]
    assert fullest(ends).used <= rule.limit(len(ends))
