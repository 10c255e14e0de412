"""What every dialect does with tokens: find one, list them, change one, revoke one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar
from uuid import UUID

from msgspec.structs import replace

from counterfoil.core.principal import Owner, Principal
from counterfoil.core.refusals import NotFound
from counterfoil.core.subjects.token.commands import Revoke, TokenCommand
from counterfoil.core.subjects.token.state import is_session
from counterfoil.core.unit_of_work import AllOrNothing, Outcome
from counterfoil.postgres.listing import Filter, Listed, Sort, numbered_page
from counterfoil.postgres.listing import one as one_token
from counterfoil_api.auth.principals import is_for, is_own, reach
from counterfoil_api.dialects.owners import Owners
from counterfoil_api.handling.issuing import Issuing
from counterfoil_api.handling.reading import Reading
from counterfoil_api.handling.writing import Writing
from counterfoil_api.limits.callers import Callers
from counterfoil_api.operations.retries import Retry

T = TypeVar("T")
_ANY: Final = Filter()


def owner_of(caller: Principal) -> Owner:
    """Return the owner that the caller acts for. Raises NotFound where there is none."""
    if caller.owner is None:
        raise NotFound("The caller acts for nobody; use the credentials of a user.")
    return caller.owner


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of an account as vendors' APIs show them: without sessions, and without revoked ones."""

    reading: Reading
    writing: Writing
    issuing: Issuing
    owners: Owners
    callers: Callers

    async def one(
        self,
        caller: Principal,
        *,
        scope: str,
        token_id: UUID | None = None,
        number: int | None = None,
        instead: tuple[str, ...] = (),
        owner: Owner | None = None,
    ) -> Listed:
        """Return the token with this id or number that the caller may reach; of this owner, if one is named.

        The access log notes a read of a token of another owner. Raises NotFound for what does not exist, is out of
        reach, was revoked, or is a session; ScopeMissing.
        """
        within = reach(caller, scope, instead=instead)
        listed = await one_token(self.reading.pool, caller.account, token_id=token_id, number=number)
        if listed is None or is_session(listed.token.dialect):
            raise NotFound
        if listed.token.status == "revoked" or listed.context.owner == "removed":
            raise NotFound
        if any(each is not None and listed.token.owner != each for each in (within, owner)):
            raise NotFound
        if scope == "tokens.read" and not is_own(caller, listed.token):
            self.reading.access_log.note(caller, "token", rows=1, tokens=(listed.token.id,))
        return listed

    async def listed(
        self,
        caller: Principal,
        owner: Owner | None,
        *,
        matching: Filter = _ANY,
        scope: str = "tokens.read",
        instead: tuple[str, ...] = (),
        sort: Sort = "created",
        descending: bool = False,
        offset: int = 0,
        limit: int,
    ) -> tuple[list[Listed], int]:
        """Return a page of the tokens, of this owner or of all, that the caller may reach, and how many there are.

        Raises ScopeMissing.
        """
        within = reach(caller, scope, instead=instead)
        if within is not None and owner not in (None, within):
            return [], 0
        of = owner or within
        if of is not None:
            matching = replace(matching, owner_type=of.type, owner_id=of.id)
        status = ("active", "suspended") if matching.stored_status is None else matching.stored_status
        matching = replace(matching, stored_status=status, sessions=False)
        found, total = await numbered_page(
            self.reading.pool, caller.account, matching, sort=sort, descending=descending, offset=offset, limit=limit
        )
        if not is_for(caller, of):
            self.reading.access_log.note(caller, "list", rows=len(found))
        return found, total

    async def change(
        self, commands: tuple[TokenCommand, ...], retry: Retry | None, render: Callable[[Outcome], T], *, kind: type[T]
    ) -> T:
        """Execute the commands about one token, all or none, and render the outcome."""
        command = commands[0] if len(commands) == 1 else AllOrNothing(commands)
        return await self.writing.reply(command, retry, render, kind=kind, holds_secret=False)

    async def revoke(self, caller: Principal, listed: Listed, title: str) -> Outcome:
        """Revoke a token through the vendor's API with this title."""
        return await self.writing.execute(revocation(caller, listed, title))


def revocation(caller: Principal, listed: Listed, title: str) -> Revoke:
    """Return the command that revokes a token through the vendor's API with this title."""
    reason = f"Deleted through the {title} API."
    return Revoke(account=caller.account, id=listed.token.id, by=caller, reason=reason)
