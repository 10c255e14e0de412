"""Everything that is limited, opened together."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from counterfoil.postgres.connection import Pool
from counterfoil.settings import Settings
from counterfoil.uses.attempts import Attempts
from counterfoil.uses.counted_uses import CountedUses
from counterfoil.uses.verify import Sources
from counterfoil_api.limits.counters import Tally, open_tally
from counterfoil_api.limits.guard import Guard
from counterfoil_api.limits.known import Known
from counterfoil_api.limits.logins import Logins
from counterfoil_api.limits.quotas import Allowance, Quota, Quotas
from counterfoil_api.limits.seen_secrets import Marks
from counterfoil_api.metrics import observe_attempt


@dataclass(frozen=True, slots=True)
class Limits:
    """What keeps one caller from being everybody's trouble."""

    tally: Tally
    attempts: Attempts
    quotas: Quotas
    marks: Marks
    guard: Guard
    known: Known
    logins: Logins
    allowance: Allowance


@asynccontextmanager
async def open_limits(settings: Settings, *, readers: Pool, sources: Sources) -> AsyncIterator[Limits]:
    """Open all of it without asking anybody anything."""
    async with AsyncExitStack() as stack:
        attempts = await stack.enter_async_context(Attempts(readers, observe=observe_attempt))
        tally = await stack.enter_async_context(open_tally(settings.limits_redis_url))
        known = Known(sources)
        marks = await stack.enter_async_context(Marks(tally, known.digest))
        quotas, guesses = Quotas(tally), _quota(settings.guess_limit)
        yield Limits(
            tally=tally,
            attempts=attempts,
            quotas=quotas,
            marks=marks,
            known=known,
            guard=Guard(quotas=quotas, marks=marks, attempts=attempts, known=known, guesses=guesses),
            logins=Logins(quotas, sources.peppers, attempts, guesses),
            allowance=Allowance(quotas, _quota(settings.rate_limit), attempts, CountedUses(readers)),
        )


def _quota(setting: tuple[int, int] | None) -> Quota | None:
    return None if setting is None else Quota(*setting)
