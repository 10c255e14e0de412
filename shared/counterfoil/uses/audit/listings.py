"""The kinds that the API lists, with the scope that each needs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple
from uuid import UUID

from counterfoil.client import Client
from counterfoil.core.subjects.scope_catalogue import named

Documents = AsyncIterator[tuple[UUID, object]]
"""Each document with the subject that it is about."""


class Listing(NamedTuple):
    """How one kind is listed, and the scope that this takes."""

    scope: str
    documents: Callable[[Client, UUID], Documents]


async def _account(ledger: Client, _: UUID) -> Documents:
    document = await ledger.account()
    yield document.id, document


async def _users(ledger: Client, _: UUID) -> Documents:
    async for document in ledger.users():
        yield document.id, document


async def _tokens(ledger: Client, _: UUID) -> Documents:
    async for document in ledger.list():
        yield document.id, document


async def _scopes(ledger: Client, account: UUID) -> Documents:
    async for document in ledger.scopes():
        if not document.built_in:
            yield named(account, "scope", document.scope), document


async def _scope_sets(ledger: Client, account: UUID) -> Documents:
    async for document in ledger.scope_sets():
        if not document.built_in:
            yield named(account, "scope_set", document.name), document


async def _bulk_revocations(ledger: Client, _: UUID) -> Documents:
    async for document in ledger.revocations():
        yield document.id, document


LISTINGS: Final[Mapping[str, Listing]] = MappingProxyType({
    "account": Listing("account.read", _account),
    "user": Listing("users.read", _users),
    "token": Listing("tokens.read", _tokens),
    "scope": Listing("scopes.read", _scopes),
    "scope_set": Listing("scopes.read", _scope_sets),
    "bulk_revocation": Listing("tokens.revoke", _bulk_revocations),
})  # fmt: skip
