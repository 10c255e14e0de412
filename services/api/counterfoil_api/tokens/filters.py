"""Which tokens are meant: the filters of the list, by which many are revoked at once as well."""

import unicodedata
from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from counterfoil.postgres.listing import Filter
from counterfoil.principal import Principal
from counterfoil.refusals import ScopeMissing
from counterfoil.token import Status
from counterfoil_api.auth.principals import reach
from counterfoil_api.edge.complaints import InvalidRequest
from counterfoil_api.typed.documents import Given, Glob, Moment


class TokenFilter(Given, frozen=True, kw_only=True):
    """Which tokens; times are half-open: from `…_after` on, up to but without `…_before`."""

    name: Glob | None = None
    status: Status | None = None
    owner_type: Literal["user", "application", "service"] | None = None
    owner_id: Annotated[str, Meta(max_length=128)] | None = None
    scope: Annotated[str, Meta(max_length=128)] | None = None
    created_after: Moment | None = None
    created_before: Moment | None = None
    expires_after: Moment | None = None
    expires_before: Moment | None = None
    last_used_after: Moment | None = None
    last_used_before: Moment | None = None
    unused_since: Annotated[Moment, Meta(description="There since then, and not used since.")] | None = None

    @property
    def empty(self) -> bool:
        """Whether every token is meant."""
        return all(getattr(self, name) is None for name in Filter.__struct_fields__)


def wanted_by(asker: Principal, given: TokenFilter, *, scope: str, where: Literal["query", "body"]) -> Filter:
    """What is meant, within the asker's reach: with `own.…` instead of the scope, the tokens of their own owner alone.

    Raises ScopeMissing for who has neither or names another owner, InvalidRequest for a moment that is none in UTC.
    """
    within = reach(asker, scope)
    said = {name: getattr(given, name) for name in Filter.__struct_fields__}
    moments = {
        name: in_utc(value, where=where, field=name) for name, value in said.items() if isinstance(value, datetime)
    }
    wanted = msgspec.convert(said | moments | _glob(given.name), Filter)
    if within is None:
        return wanted
    if wanted.owner_type not in (None, within.type) or wanted.owner_id not in (None, within.id):
        raise ScopeMissing(f"This needs the scope {scope}.", scope=scope)
    return replace(wanted, owner_type=within.type, owner_id=within.id)


def _glob(name: str | None) -> dict[str, str]:
    """Names are kept composed; blanks around a glob stay, since they may follow what it leaves open."""
    return {} if name is None else {"name": unicodedata.normalize("NFC", name)}


def in_utc(moment: datetime, *, where: Literal["query", "body"], field: str) -> datetime:
    """The same moment in UTC. Near the ends of the calendar one with an offset is none at all there."""
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise InvalidRequest("A moment lies between the years 1 and 9999 of UTC.", where=where, field=field) from None
