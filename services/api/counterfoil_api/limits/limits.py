"""Opens all limits together."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from counterfoil.postgres.connection import Pool
from counterfoil.settings import Settings
from counterfoil.uses.attempts import Attempts
from counterfoil.uses.counted_uses import CountedUses
from counterfoil.uses.verify import Verifying
from counterfoil_api.limits.counters import Counters, open_counters
from counterfoil_api.limits.guard import Guard
from counterfoil_api.limits.logins import Logins
from counterfoil_api.limits.quotas import Allowance, Quota, Quotas
from counterfoil_api.limits.seen_secrets import SeenSecrets
from counterfoil_api.metrics import observe_attempt


@dataclass(frozen=True, slots=True)
class Limits:
    """All limits of one process."""

    counters: Counters
    attempts: Attempts
    quotas: Quotas
    seen_secrets: SeenSecrets
    guard: Guard
    logins: Logins
    allowance: Allowance


@asynccontextmanager
async def open_limits(settings: Settings, *, readers: Pool, verifying: Verifying) -> AsyncIterator[Limits]:
    """Open all limits; this needs neither the database nor Valkey."""
    async with AsyncExitStack() as stack:
        attempts = await stack.enter_async_context(Attempts(readers, observe=observe_attempt))
        counters = await stack.enter_async_context(open_counters(settings.limits_redis_url))
        seen_secrets = await stack.enter_async_context(SeenSecrets(counters, verifying.peppers))
        quotas, guesses = Quotas(counters), _quota(settings.guess_limit)
        yield Limits(
            counters=counters,
            attempts=attempts,
            quotas=quotas,
            seen_secrets=seen_secrets,
            guard=Guard(quotas, seen_secrets, attempts, verifying, guesses),
            logins=Logins(quotas, verifying.peppers, attempts, guesses),
            allowance=Allowance(quotas, _quota(settings.rate_limit), attempts, CountedUses(readers)),
        )


def _quota(setting: tuple[int, int] | None) -> Quota | None:
    return None if setting is None else Quota(*setting)
