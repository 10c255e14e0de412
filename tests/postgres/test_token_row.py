"""A token's state as a row, and back."""

from counterfoil.postgres import token_row
from counterfoil_dev.postgres import Database
from postgres.tenant import tenant_of


async def test_a_row_contains_the_whole_state(database: Database) -> None:
    async with tenant_of(database) as tenant:
        token = await tenant.issue(
            name="ünïcode 😀", description="x" * 1_000, scopes=("a.b", "c.*"), metadata={"k": "'\"\\"},
            lifetime="2h45m", thresholds=(7_200, 60),
        )  # fmt: skip
        (row,) = await tenant.pool.fetch(f"select {token_row.listed('t')} from token t")
    assert token_row.token_of(row) == token


def test_long_lists_of_scopes_do_not_stay_in_memory() -> None:
    token_row._short_words.cache_clear()
    short, long = '["a.b"]', '["' + "x" * 2_000 + '"]'
    assert (token_row.words(short), token_row.words(long)) == (("a.b",), ("x" * 2_000,))
    assert token_row._short_words.cache_info().currsize == 1
