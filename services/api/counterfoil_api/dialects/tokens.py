"""What all dialects do with tokens: find one, list some, change one, end one. Vendors forget what was deleted."""

from collections.abc import Callable
from typing import Final, TypeVar
from uuid import UUID

from msgspec.structs import replace

from counterfoil.core.principal import Owner, Principal
from counterfoil.core.refusals import NotFound
from counterfoil.core.subjects.token.commands import Change, Revoke
from counterfoil.core.subjects.token.state import is_session
from counterfoil.core.unit_of_work import AllOrNothing, Outcome
from counterfoil.postgres.listing import Filter, Listed, Sort, numbered_page
from counterfoil.postgres.listing import one as one_token
from counterfoil_api.auth.principals import is_for, is_own, reach
from counterfoil_api.handling.answering import answered
from counterfoil_api.ledger import Ledger
from counterfoil_api.operations.retries import Retry

T = TypeVar("T")

_LIVING: Final = ("active", "suspended")


def owner_of(asker: Principal) -> Owner:
    """On whose behalf somebody asks; who asks for nobody has no tokens of their own."""
    if asker.owner is None:
        raise NotFound("The caller acts for nobody; use the credentials of a user.")
    return asker.owner


async def one(
    ledger: Ledger,
    asker: Principal,
    *,
    scope: str,
    token_id: UUID | None = None,
    number: int | None = None,
    instead: tuple[str, ...] = (),
    owner: Owner | None = None,
) -> Listed:
    """A token within the reach of who asks, by its id or number; of this owner, if one is named.

    Raises NotFound for what there is not, is out of reach, was revoked, or is a session; ScopeMissing.
    """
    within = reach(asker, scope, instead=instead)
    listed = await one_token(ledger.readers, asker.account, token_id=token_id, number=number)
    if listed is None or is_session(listed.token.dialect):
        raise NotFound
    if listed.token.status == "revoked" or listed.context.owner == "removed":
        raise NotFound
    if any(each is not None and listed.token.owner != each for each in (within, owner)):
        raise NotFound
    return listed


async def look_at(
    ledger: Ledger,
    asker: Principal,
    *,
    scope: str = "tokens.read",
    token_id: UUID | None = None,
    number: int | None = None,
    instead: tuple[str, ...] = (),
    owner: Owner | None = None,
) -> Listed:
    """The same, for who only looks at it: that is noted, unless it is their own."""
    listed = await one(ledger, asker, scope=scope, token_id=token_id, number=number, instead=instead, owner=owner)
    if not is_own(asker, listed.token):
        ledger.witness.note(asker, "token", shown=1, tokens=(listed.token.id,))
    return listed


async def listed(
    ledger: Ledger,
    asker: Principal,
    wanted: Filter,
    *,
    scope: str = "tokens.read",
    instead: tuple[str, ...] = (),
    sort: Sort = "created",
    descending: bool = False,
    offset: int = 0,
    limit: int,
) -> tuple[list[Listed], int]:
    """Tokens within the reach of who asks, a page of them, and how many there are in all. Raises ScopeMissing."""
    within = reach(asker, scope, instead=instead)
    wanted = replace(
        wanted, stored_status=_LIVING if wanted.stored_status is None else wanted.stored_status, sessions=False
    )
    if within is not None:
        if wanted.owner_type is not None and (wanted.owner_type, wanted.owner_id) != (within.type, within.id):
            return [], 0
        wanted = replace(wanted, owner_type=within.type, owner_id=within.id)
    found, total = await numbered_page(
        ledger.readers, asker.account, wanted, sort=sort, descending=descending, offset=offset, limit=limit
    )
    owner = Owner(wanted.owner_type, wanted.owner_id) if wanted.owner_type and wanted.owner_id else None  # type: ignore[arg-type] # a filter names one of the types
    if not is_for(asker, owner):
        ledger.witness.note(asker, "list", shown=len(found))
    return found, total


async def change(
    ledger: Ledger,
    commands: tuple[Change, ...],
    retry: Retry | None,
    shown: Callable[[Outcome], T],
    *,
    kind: type[T],
) -> T:
    """Carry out changes of one token, all or none, and answer with what `shown` makes of it."""
    command = commands[0] if len(commands) == 1 else AllOrNothing(commands)
    return await answered(ledger, command, retry, shown, kind=kind, holds_secret=False)


async def revoke(ledger: Ledger, asker: Principal, listed: Listed, title: str) -> Outcome:
    """End a token for ever, by a call of the vendor's API with this title."""
    return await ledger.door.execute(revocation(asker, listed, title))


def revocation(asker: Principal, listed: Listed, title: str) -> Revoke:
    """Return the command that does so."""
    reason = f"Deleted through the {title} API."
    return Revoke(account=asker.account, token_id=listed.token.id, by=asker, reason=reason)
