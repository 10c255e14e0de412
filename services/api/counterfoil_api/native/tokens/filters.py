"""Filters of tokens, for lists and for bulk revocations."""

import unicodedata
from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta
from msgspec.structs import replace

from counterfoil.core.builtin_scopes import stray
from counterfoil.core.moments import MEANING, Moment, read
from counterfoil.core.principal import NIL, Owner, Principal
from counterfoil.core.refusals import ScopeMissing, UnknownUser
from counterfoil.core.subjects.token.acceptance import Status
from counterfoil.core.text import METADATA_LIMIT, normal
from counterfoil.documents.fields import Ago, Ahead, Given, Glob
from counterfoil.postgres.listing import Filter
from counterfoil_api.auth.principals import reach
from counterfoil_api.handling.reading import Reading
from counterfoil_api.http.errors import InvalidRequest
from counterfoil_api.native.account.actor_references import ActorRef, named_actor
from counterfoil_api.native.users.references import named_user

Where = Literal["query", "body"]
OwnerType = Literal["user", "application", "service"]
OwnerRef = Annotated[
    str, Meta(max_length=255, description="For the owner_type user: an id, a number, an e-mail address, or `self`.")
]
Pair = Annotated[str, Meta(extra_json_schema={"pattern": "^[A-Za-z0-9_.:/-]{1,64}=", "maxLength": 1_065})]
Unused = Annotated[Ago, Meta(description=f"Tokens that existed then and were not used since. {MEANING} 90d ago.")]
_TIMES = tuple(name for name in Filter.__struct_fields__ if name.endswith(("_after", "_before", "_since")))


class TokenFilter(Given, frozen=True, kw_only=True):
    """A filter of tokens; periods are half-open: from `…_after` on, before `…_before`.

    A filter by metadata, scope or issuer alone reads every token of the account; one by name, owner, creator or expiry
    narrows that. `creator` is the user or token that created them; it may be removed or revoked.
    """

    name: Glob | None = None
    status: Status | None = None
    owner_type: OwnerType | None = None
    owner_id: OwnerRef | None = None
    creator: ActorRef | None = None
    issuer: Annotated[str, Meta(max_length=255, description="The issuer whose JWTs they trust.")] | None = None
    scope: Annotated[str, Meta(max_length=128)] | None = None
    metadata: Annotated[
        tuple[Pair, ...], Meta(max_length=METADATA_LIMIT, description="KEY=VALUE; tokens have all of these.")
    ] = ()
    created_after: Ago | None = None
    created_before: Ago | None = None
    expires_after: Ahead | None = None
    expires_before: Ahead | None = None
    last_used_after: Ago | None = None
    last_used_before: Ago | None = None
    unused_since: Unused | None = None

    @property
    def empty(self) -> bool:
        """Whether the filter matches every token."""
        return all(getattr(self, name) in (None, ()) for name in TokenFilter.__struct_fields__)


async def requested_filter(
    reading: Reading, caller: Principal, given: TokenFilter, *, scope: str, where: Where
) -> Filter:
    """Return the requested filter within the caller's reach: with `own.…` only tokens of the caller's owner.

    Raises ScopeMissing without either scope, and what `filter_within` raises.
    """
    return await filter_within(reading, caller, given, within=reach(caller, scope), scope=scope, where=where)


async def filter_within(
    reading: Reading, caller: Principal, given: TokenFilter, *, within: Owner | None, scope: str, where: Where
) -> Filter:
    """Return the requested filter, limited to the tokens of one owner, or with `within=None` of any.

    Raises ScopeMissing for another owner, UnknownUser, and InvalidRequest for an invalid time, metadata or scope.
    """
    owner_id = given.owner_id
    if given.owner_type == "user" and owner_id is not None:
        user = await named_user(reading, caller, owner_id)
        if user is None and within is None:
            raise UnknownUser(where=where, field="owner_id")
        owner_id = owner_id if user is None else str(user.id)
    if given.scope is not None and (wrong := stray(given.scope)):
        raise InvalidRequest(wrong, where=where, field="scope")
    # The outer blanks of a glob stay, because they may matter after a `*`.
    name = None if given.name is None else unicodedata.normalize("NFC", given.name)
    wanted = Filter(
        name=name, status=given.status, owner_type=given.owner_type, owner_id=owner_id,
        creator=await named_creator(reading, caller, given.creator, within=within, where=where), issuer=given.issuer,
        scope=given.scope, metadata=_metadata(given.metadata, where),
    )  # fmt: skip
    wanted = replace(wanted, **_moments(given, where))
    if within is None:
        return wanted
    if wanted.owner_type not in (None, within.type) or wanted.owner_id not in (None, within.id):
        raise ScopeMissing(f"This needs the scope {scope}.", scope=scope)
    return replace(wanted, owner_type=within.type, owner_id=within.id)


async def named_creator(
    reading: Reading, caller: Principal, ref: str | None, *, within: Owner | None, where: Where
) -> UUID | None:
    """Return the id of the named creator.

    Raises UnknownUser if there is none; a caller with the reach of one owner gets an id that matches nothing instead.
    """
    if ref is None:
        return None
    try:
        return await named_actor(reading, caller, ref, field="creator", where=where)
    except UnknownUser:
        if within is None or ref.isdigit():
            raise
        return NIL


def _moments(given: TokenFilter, where: Where) -> dict[str, Moment]:
    stated = {name: getattr(given, name) for name in _TIMES}
    return {name: moment(text, where=where, field=name) for name, text in stated.items() if text is not None}


def moment(text: str, *, where: Where, field: str) -> Moment:
    """Return the time that a filter states."""
    try:
        return read(text)
    except ValueError as error:
        raise InvalidRequest(f"{error}.", where=where, field=field) from None


def _metadata(pairs: tuple[str, ...], where: Where) -> dict[str, str] | None:
    wanted: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or wanted.setdefault(key, normalized := normal(value)) != normalized:
            raise InvalidRequest(
                f"{pair!r} is not metadata to look for; state KEY=VALUE, such as env=production, each key once.",
                where=where,
                field="metadata",
            )
    return wanted or None


def in_utc(moment: datetime, *, where: Where, field: str) -> datetime:
    """Return the same time in UTC. Raises InvalidRequest near the ends of the calendar."""
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise InvalidRequest(
            "A time must lie between the years 1 and 9999 in UTC, such as 2027-03-01T12:00:00Z.",
            where=where,
            field=field,
        ) from None
