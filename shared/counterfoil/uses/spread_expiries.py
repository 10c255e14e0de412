"""Plan how the expiries of used tokens are spread, where many of them expire together.

Nothing is changed here: an ordinary renewal moves each token of the plan.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from counterfoil.core.cliffs import Cliff, CliffRule, Movable, spread
from counterfoil.core.duration import length
from counterfoil.core.principal import Principal
from counterfoil.core.refusals import Refusal
from counterfoil.core.subjects.token.commands import Renew
from counterfoil.core.subjects.token.decide import decide
from counterfoil.postgres.connection import Pool
from counterfoil.postgres.forecast import Crowd, crowd_of
from counterfoil.postgres.listing import Filter, Listed

_NOTICE: Final = timedelta(days=7)
"""No token is moved to an expiry sooner than this: its owner has time to notice."""


@dataclass(frozen=True, slots=True)
class SpreadPlan:
    """The cliffs, the new expiry of each token that moves away from one, and the tokens that the caller may not renew.

    `left_over` counts the used tokens that still are too many: refused ones, those for which no time is free that
    their policy and the caller allow, and those beyond the tokens of one plan.
    """

    cliffs: tuple[Cliff, ...]
    moves: tuple[tuple[Listed, datetime], ...]
    refused: tuple[tuple[Listed, Refusal], ...]
    left_over: int


async def plan_spread(
    pool: Pool, caller: Principal, *, wanted: Filter, movable: Filter, days: int, rule: CliffRule
) -> SpreadPlan:
    """Plan new expiries for used tokens in the cliffs of the next days.

    `wanted` are the tokens that are counted, `movable` those that the caller may renew at all.
    """
    crowd = await crowd_of(pool, caller.account, wanted=wanted, movable=movable, days=days, rule=rule)
    # The slot after the last one is not counted: a token there could make a cliff with it.
    end = crowd.slots.start + timedelta(days=days) - rule.window
    free: list[tuple[Listed, Movable]] = []
    refused: list[tuple[Listed, Refusal]] = []
    for listed in crowd.tokens:
        try:
            free.append((listed, _movable(caller, listed, end)))
        except Refusal as refusal:
            refused.append((listed, refusal))
    moves, left_over = _spread(crowd, rule, [each for _, each in free])
    return SpreadPlan(
        cliffs=crowd.forecast.cliffs,
        moves=tuple((listed, moves[each.id]) for listed, each in free if each.id in moves),
        refused=tuple(refused),
        left_over=left_over,
    )


def _spread(crowd: Crowd, rule: CliffRule, tokens: list[Movable]) -> tuple[dict[UUID, datetime], int]:
    """Return the moves, and how many used tokens still are too many."""
    slots, limit = crowd.slots, rule.limit(crowd.forecast.used)
    crowded = slots.crowded(crowd.forecast.cliffs)
    moves = spread(tokens, crowd.used, crowded=crowded, slots=slots, limit=limit)
    left = Counter(crowd.used)
    left.subtract(slots.of(token.expires_at) for token in tokens if token.id in moves)
    left.update(slots.of(moved) for moved in moves.values())
    return moves, sum(max(0, left[slot] + left[slot + 1] - limit) for slot in crowded)


def _movable(caller: Principal, listed: Listed, end: datetime) -> Movable:
    """Return the times between which the token may end; raise the Refusal of its renewal if the caller may not."""
    token, at, policy = listed.token, listed.at, listed.context.policy
    ends = token.expires_at or end
    longest = None if policy.max_lifetime is None else at + length(policy.max_lifetime)
    allowed = [moment for moment in (longest, caller.expires_at) if moment is not None]
    tried = min([ends, *allowed])
    # The rule of the renewal itself says whether this caller may renew this token.
    decide(token, Renew(account=token.account, id=token.id, by=caller, expires_at=tried), at, listed.context)
    return Movable(token.id, ends, at + _NOTICE, min([end, *allowed]))
