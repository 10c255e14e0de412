"""Ending a token by showing its secret."""

import asyncio
from typing import Final

from counterfoil.core.credentials import SecretGiven
from counterfoil.core.principal import Principal
from counterfoil.core.refusals import SecretEnded, SecretRetired, TokenRevoked
from counterfoil.core.subjects.token.commands import Revoke
from counterfoil.postgres.lookup import Seen
from counterfoil.uses.verify import Found, Sources, could_be_secret, look
from counterfoil_api.handling.writing import Writing

_FOR_GOOD: Final = (TokenRevoked, SecretRetired, SecretEnded)
"""Why a secret will never open anything again, whatever becomes of its token."""


async def opened_by(sources: Sources, given: SecretGiven) -> Found | None:
    """The token that a secret opens, now or perhaps again: one that is expired or suspended can come back.

    Raises Misconfigured where it may be kept under a pepper that this process lacks: None would be taken for done.
    """
    found = await look(sources, given)
    if found is None and await could_be_secret(sources, given):
        await sources.pepper_sync.refresh()
    return None if found is None or isinstance(found.refusal_for, _FOR_GOOD) else found


async def end(writing: Writing, seen: Seen, *, by: Principal, reason: str) -> None:
    """Revoke a token whose secret was shown, unless it was replaced in the meantime."""
    await writing.execute(
        Revoke(account=seen.account, token_id=seen.id, by=by, reason=reason, generation=seen.presented)
    )


async def end_all(writing: Writing, sources: Sources, secrets: frozenset[str], *, by: Principal, reason: str) -> int:
    """End whatever these secrets open; returns once all of it is done, and how many there were."""
    found = await asyncio.gather(*(opened_by(sources, SecretGiven(plain)) for plain in secrets))
    seen = [each.seen for each in found if each is not None]
    opened = {(each.account, each.id, each.presented): each for each in seen}
    await asyncio.gather(*(end(writing, each, by=by, reason=reason) for each in opened.values()))
    return len(opened)
