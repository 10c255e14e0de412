"""A planted cliff among ten thousand tokens is named, and ordinary renewals spread it within the policy."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from counterfoil.core.cliffs import RULE
from counterfoil.core.principal import SYSTEM, Actor, Principal
from counterfoil.core.subjects.account import ChangeAccount, CreateAccount, Policy
from counterfoil.core.subjects.token.commands import Renew
from counterfoil.core.subjects.token.state import Token
from counterfoil.postgres.forecast import MOST_MOVED, Forecast, forecast_of
from counterfoil.postgres.listing import EVERY
from counterfoil.uses.spread_expiries import SpreadPlan, plan_spread
from counterfoil_dev.postgres import Database
from postgres.tenant import Tenant, tenant_of

DAY = timedelta(days=1)
MANY: Final = 10_000
PLANTED: Final = 1_200
LONGEST = 60 * DAY

# A tenth of the first ten thousand is used. The others all end on one day from ten o'clock on, and are used.
FILL = """
insert into token
      (account_id, token_id, number, owner_type, owner_id, creator_kind, creator_id, name, description, scopes,
       metadata, status, lifetime, expires_at, lifetime_start, thresholds, created_at, updated_at, generation, hint,
       dialect, revision, version, at, leaf)
select $1, gen_random_uuid(), n, 'service', 'owner ' || n % 100, 'user', $1, 'token ' || n, '', '[]', '{}',
       'active', '90d',
       case when n <= $2 then current_date + (8 + n % 78) * interval '1 day' + n * 37 % 86400 * interval '1 second'
            else current_date + interval '45 days 10 hours' + (n - $2) * interval '7 seconds' end,
       now(), '[]', now(), now(), 1, 'cfl_service_ab', 'native', 1, 1, now(), sha256('leaf')
  from generate_series(1, $2::bigint + $3::bigint) as n"""
USE = """
insert into token_use (account_id, token_id, day, generation, count, last_at)
select account_id, token_id, current_date, 1, 1, now() from token
 where account_id = $1 and (number % 10 = 0 or number > $2)"""
FULLEST = """
select max(w.used)
  from (select count(*) over (order by t.expires_at
                              range between current row and interval '23:59:59.999999' following) as used
          from token t join token_use u using (account_id, token_id)
         where t.account_id = $1) as w"""


@pytest.fixture
async def tenant(database: Database) -> AsyncIterator[Tenant]:
    async with tenant_of(database) as tenant:
        account = tenant.account
        await tenant.door.execute(CreateAccount(account=account, id=account, by=SYSTEM, name="spread"))
        policy = Policy(max_lifetime=f"{LONGEST.days}d")
        await tenant.door.execute(ChangeAccount(account=account, id=account, by=SYSTEM, policy=policy))
        await tenant.pool.execute(FILL, account, MANY, PLANTED)
        await tenant.pool.execute(USE, account, MANY)
        yield tenant


async def forecast(tenant: Tenant) -> Forecast:
    return await forecast_of(tenant.pool, tenant.account, wanted=EVERY, days=90, rule=RULE)


async def planned(tenant: Tenant) -> SpreadPlan:
    caller = Principal(actor=Actor("user", tenant.account), account=tenant.account, scopes=("all",))
    return await plan_spread(tenant.pool, caller, wanted=EVERY, movable=EVERY, days=90, rule=RULE)


async def carry_out(tenant: Tenant, plan: SpreadPlan) -> list[Token]:
    renewals = [
        tenant.ask(Renew, listed.token.id, expires_at=moved, keeps_lifetime=True, revisions=frozenset({1}))
        for listed, moved in plan.moves
    ]
    return [outcome.of(Token) for outcome in await asyncio.gather(*renewals)]


async def test_a_planted_cliff_is_named_and_spread_within_the_policy(tenant: Tenant) -> None:
    before = await forecast(tenant)
    (cliff,) = before.cliffs
    first = datetime.now(UTC).replace(hour=10, minute=0, second=7, microsecond=0) + 45 * DAY
    last = first + (PLANTED - 1) * timedelta(seconds=7)
    assert cliff.starts_at <= first < last < cliff.starts_at + RULE.window
    assert cliff.used == await tenant.pool.fetchval(FULLEST, tenant.account) >= PLANTED
    assert (sum(day.tokens for day in before.days), before.used) == (MANY + PLANTED, MANY // 10 + PLANTED)
    limit, rounds = RULE.limit(before.used), 0
    while (plan := await planned(tenant)).moves:
        rounds += 1
        assert len(plan.moves) <= MOST_MOVED
        for token in await carry_out(tenant, plan):
            assert token.expires_at is not None
            assert token.at + 7 * DAY - timedelta(minutes=1) < token.expires_at <= token.at + LONGEST
            assert token.lifetime == "90d"
    assert rounds == 2
    assert (plan.cliffs, plan.refused, plan.left_over) == ((), (), 0)
    after = await forecast(tenant)
    assert (sum(day.tokens for day in after.days), after.used) == (MANY + PLANTED, before.used)
    assert max(day.used for day in after.days) <= limit
    assert await tenant.pool.fetchval(FULLEST, tenant.account) <= limit
