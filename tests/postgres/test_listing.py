from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count, product
from typing import Any, get_args
from uuid import UUID

import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from uuid_utils.compat import uuid7

from counterfoil.core.cursor import Cursors
from counterfoil.core.principal import Owner
from counterfoil.core.subjects.token.acceptance import status_at
from counterfoil.core.subjects.token.state import Token
from counterfoil.postgres import token_row
from counterfoil.postgres.connection import Pool, open_pool
from counterfoil.postgres.last_used import add
from counterfoil.postgres.listing import Filter, Listed, Sort, numbered_page, one, owner_known, page_of
from counterfoil_dev.postgres import OWNER, Database, Postgres
from postgres.random_tokens import ACCOUNT, CHOICES, KEYS, OTHER, TOKENS, USES, fits, random_token, used

PARTS = ["*", "?", "%", "_", r"\*", r"\?", r"\\", *"ab1 nightly"]
"""Of a glob."""
CURSORS = Cursors(b"k" * 32)
SORTS: Sequence[Sort] = get_args(Sort)


@pytest_asyncio.fixture(scope="module")
async def pool(postgres_server: Postgres, template: str) -> AsyncIterator[Pool]:
    """Readers of a database with all these tokens."""
    postgres_server.run(f"create database listed owner {OWNER} template {template};")
    async with await open_pool(postgres_server.database("listed").app_url, size=2) as pool:
        for tokens in TOKENS.values():
            await kept(pool, tokens)
        await add(pool, [(ACCOUNT, token, at.date(), 2, 1, at) for token, at in USES.items() if at])
        yield pool
    postgres_server.run("drop database listed with (force);")


async def kept(pool: Pool, tokens: Sequence[Token]) -> None:
    await pool.execute(token_row.upsert(1), *token_row.arrays((token, b"0" * 32) for token in tokens))


async def pages_of(
    pool: Pool, wanted: Filter, *, sort: Sort, descending: bool, limit: int
) -> AsyncIterator[list[Listed]]:
    """All pages to the end, as a client that follows the cursors gets them."""
    question, place = [wanted, sort, descending], None
    while True:
        page = await page_of(pool, ACCOUNT, wanted, sort=sort, descending=descending, after=place, limit=limit)
        yield page
        if len(page) < limit:
            return
        place = CURSORS.place(ACCOUNT, question, CURSORS.made(ACCOUNT, question, page[-1].place))


async def compare(pool: Pool, wanted: Filter, *, sort: Sort, descending: bool, limit: int) -> None:
    """Assert that the database and plain Python list the same tokens in the same order."""
    found = [
        each async for page in pages_of(pool, wanted, sort=sort, descending=descending, limit=limit) for each in page
    ]
    expected = sorted((token for token in TOKENS[ACCOUNT] if fits(token, wanted)), key=KEYS[sort], reverse=descending)
    assert [each.token for each in found] == expected, (wanted, sort, descending, limit)
    assert [each.last_used_at for each in found] == [used(token) for token in expected]


@pytest.mark.parametrize("field", CHOICES)
async def test_every_filter_in_every_order_equals_plain_python(pool: Pool, field: str) -> None:
    orders, values = list(product(SORTS, (False, True))), CHOICES[field]
    for number in range(max(len(orders), len(values))):  # each order, and each value
        sort, descending = orders[number % len(orders)]
        wanted = Filter(**{field: values[number % len(values)]})
        await compare(pool, wanted, sort=sort, descending=descending, limit=97)


@pytest.mark.parametrize("limit", [7, 100, 299, 300, 301])
async def test_pages_of_any_size_contain_everything_once(pool: Pool, limit: int) -> None:
    for sort, descending in product(SORTS, (False, True)):
        await compare(pool, Filter(), sort=sort, descending=descending, limit=limit)


@given(
    wanted=st.builds(
        Filter, **{field: st.none() | st.sampled_from(values) for field, values in CHOICES.items() if field != "name"},
        name=st.none() | st.just("*") | st.lists(st.sampled_from(PARTS), max_size=5).map("".join),
    ),
    sort=st.sampled_from(SORTS), descending=st.booleans(), limit=st.integers(1, 200),
)  # fmt: skip
@settings(max_examples=50, deadline=None)
async def test_combined_filters_equal_plain_python(
    pool: Pool, wanted: Filter, sort: Sort, limit: int, *, descending: bool
) -> None:
    await compare(pool, wanted, sort=sort, descending=descending, limit=limit)


@pytest.mark.parametrize("sort", SORTS)
async def test_pages_are_complete_and_without_duplicates_while_tokens_are_added(database: Database, sort: Sort) -> None:
    before = [random_token(ACCOUNT, number) for number in range(1, 101)]
    numbers = count(101)
    async with await open_pool(database.app_url, size=1) as pool:
        await kept(pool, before)
        told: list[UUID] = []
        async for page in pages_of(pool, Filter(), sort=sort, descending=False, limit=9):
            told += [each.token.id for each in page]
            if len(told) < 200:
                await kept(pool, [random_token(ACCOUNT, next(numbers)) for _ in range(5)])
    assert len(told) == len(set(told))
    assert {token.id for token in before} <= set(told)


@given(
    wanted=st.builds(Filter, **{field: st.none() | st.sampled_from(values) for field, values in CHOICES.items()}),
    sort=st.sampled_from(SORTS), descending=st.booleans(), offset=st.integers(0, 320), limit=st.integers(1, 200),
)  # fmt: skip
@settings(max_examples=25, deadline=None)
async def test_a_numbered_page_and_the_total_equal_plain_python(
    pool: Pool, wanted: Filter, sort: Sort, offset: int, limit: int, *, descending: bool
) -> None:
    def key(token: Token) -> Any:
        return (token.created_at, token.number) if sort == "created" else KEYS[sort](token)

    fitting = sorted((token for token in TOKENS[ACCOUNT] if fits(token, wanted)), key=key, reverse=descending)
    page, total = await numbered_page(
        pool, ACCOUNT, wanted, sort=sort, descending=descending, offset=offset, limit=limit
    )
    assert [each.token for each in page] == fitting[offset : offset + limit]
    assert total == len(fitting)


async def test_an_owner_is_found_by_any_token_of_the_account(pool: Pool) -> None:
    assert await owner_known(pool, ACCOUNT, TOKENS[ACCOUNT][0].owner)
    assert not await owner_known(pool, ACCOUNT, Owner("application", "a"))
    assert not await owner_known(pool, uuid7(), TOKENS[ACCOUNT][0].owner)


async def test_a_token_of_another_account_is_not_found(pool: Pool) -> None:
    foreign = TOKENS[OTHER][0]
    assert await one(pool, ACCOUNT, token_id=foreign.id) is None
    mine = {token.number: token for token in TOKENS[ACCOUNT]}
    for token in TOKENS[OTHER][:50]:
        found = await one(pool, ACCOUNT, number=token.number)
        assert (found and found.token) == mine.get(token.number)
    page = await page_of(
        pool,
        ACCOUNT,
        Filter(),
        sort="created",
        descending=False,
        after=[str(foreign.created_at), str(foreign.id)],
        limit=1_000,
    )
    assert {each.token.account for each in page} <= {ACCOUNT}


async def test_one_token_is_found_by_its_id_and_by_its_number(pool: Pool) -> None:
    for token in TOKENS[ACCOUNT][:20]:
        by_id, by_number = (
            await one(pool, ACCOUNT, token_id=token.id),
            await one(pool, ACCOUNT, number=token.number),
        )
        assert by_id is not None
        assert by_number is not None
        assert by_id.token == by_number.token == token
        assert by_id.last_used_at == by_number.last_used_at == used(token)


async def test_a_token_listed_as_active_is_shown_as_active(database: Database) -> None:
    """Even at the very moment of its expiry."""
    ends = datetime.now(UTC) + timedelta(seconds=1)
    tokens = [replace(random_token(ACCOUNT, n), status="active", expires_at=ends) for n in range(1, 501)]
    seen = 0
    async with await open_pool(database.app_url, size=1) as pool:
        await kept(pool, tokens)
        while page := await page_of(
            pool, ACCOUNT, Filter(status="active"), sort="created", descending=False, after=None, limit=500
        ):
            assert {status_at(each.token, each.at) for each in page} == {"active"}
            seen += 1
    assert seen
