"""Revoke a token whose secret somebody presents."""

import asyncio
from uuid import UUID

from counterfoil.core.credentials import SecretGiven
from counterfoil.core.principal import Principal
from counterfoil.core.refusals import Denied
from counterfoil.core.subjects.token.commands import Revoke
from counterfoil.postgres.lookup import Seen
from counterfoil.uses.verify import FINAL, Found, Verifying, find
from counterfoil_api.handling.writing import Writing


async def opened_by(
    verifying: Verifying, given: SecretGiven, *, account: UUID | None = None, used_from: str | None = None
) -> Found | None:
    """Return the token whose secret this is, unless the secret is dead for good; an expired token can be renewed.

    Raises Misconfigured if the secret may be kept under a pepper that this process lacks: None would mean "done".
    """
    found = await find(verifying, given, account=account, despite=(Denied,), used_from=used_from)
    if found is None and await verifying.secret_formats.may_be(given):
        await verifying.pepper_sync.refresh()
    return None if found is None or isinstance(found.refusal, FINAL) else found


async def end(writing: Writing, seen: Seen, *, by: Principal, reason: str) -> None:
    """Revoke a token whose secret was presented, unless a rotation replaced that secret in the meantime."""
    await writing.execute(Revoke(account=seen.account, id=seen.id, by=by, reason=reason, generation=seen.presented))


async def end_all(
    writing: Writing, verifying: Verifying, secrets: frozenset[str], *, by: Principal, reason: str
) -> int:
    """Revoke every token that one of these secrets opens; return their number once all are revoked."""
    found = await asyncio.gather(*(opened_by(verifying, SecretGiven(plain)) for plain in secrets))
    seen = [each.seen for each in found if each is not None]
    opened = {(each.account, each.id, each.presented): each for each in seen}
    await asyncio.gather(*(end(writing, each, by=by, reason=reason) for each in opened.values()))
    return len(opened)
