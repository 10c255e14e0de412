"""How arguments are encoded in requests, and how replies are decoded."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, TypeVar
from uuid import UUID

import msgspec

from counterfoil.client.failures import Unintelligible
from counterfoil.client.wire import Answer
from counterfoil.core import moments
from counterfoil.documents.fields import Page

T = TypeVar("T")
Ref = UUID | int | str
"""A token's id, its number, or the word self."""
Stated = str | int | datetime | UUID | Sequence[str] | Mapping[str, str]
"""The values that a filter takes."""
_REF: Final = re.compile(r"[0-9A-Za-z-]{1,64}")


def path_of(ref: Ref, verb: str = "", *, kind: str = "token") -> str:
    """Return the path of a token or a user, or of an operation on it."""
    text = str(ref)
    if not _REF.fullmatch(text):  # it becomes part of a path
        raise ValueError(f"{text!r} does not name a {kind}; give an id, a number or the word self")
    return f"/v1/{kind}s/{text}/{verb}" if verb else f"/v1/{kind}s/{text}"


def bulk_revocation_id(ref: UUID | str) -> UUID:
    """Return the id of a bulk revocation."""
    try:
        return UUID(str(ref))
    except ValueError:
        example = "01a20070-9783-75f2-ab79-af3b16925535"
        raise ValueError(f"{str(ref)!r} is not the id of a bulk revocation; write it like {example}") from None


def body(**fields: object) -> bytes:
    """Return a JSON body of the fields that are not None. Raises ValueError for a time without its zone."""
    for value in fields.values():
        _refuse_zoneless(value)
    return msgspec.json.encode({name: value for name, value in fields.items() if value is not None})


def _refuse_zoneless(value: object) -> None:
    match value:
        case datetime():
            text(value)
        case Mapping():
            for each in value.values():
                _refuse_zoneless(each)
        case list() | tuple():
            for each in value:
                _refuse_zoneless(each)


def limit(given: str | int | None) -> object:
    """Return a limit as JSON; the word none becomes null, which removes a limit."""
    return msgspec.Raw(b"null") if given == "none" else given


def owner(given: tuple[str, str] | None) -> dict[str, str] | None:
    """Return an owner as JSON."""
    return None if given is None else {"type": given[0], "id": given[1]}


def stated(value: Stated) -> str | list[str]:
    """Return a filter's value for a query: a list stays a list, metadata becomes a list of KEY=VALUE."""
    if isinstance(value, Mapping):
        return [f"{key}={each}" for key, each in value.items()]
    return text(value) if isinstance(value, str | int | datetime | UUID) else [*value]


def text(value: str | int | datetime | UUID) -> str:
    """Return a value for a query; a moment must have a time zone."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(moments.zoneless(value.isoformat()))
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return str(value)


def query_of(**fields: str | int | datetime | UUID | None) -> dict[str, str]:
    """Return a query of the fields that are not None."""
    return {name: text(value) for name, value in fields.items() if value is not None}


def read(answer: Answer, kind: type[T]) -> T:
    """Decode an answer; raises Unintelligible if it is of another type."""
    try:
        return msgspec.json.decode(answer.content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise unintelligible(error) from None


def page(answer: Answer, kind: type[T]) -> Page[T]:
    """Decode a page of a list."""
    return read(answer, Page[kind])  # type: ignore[valid-type] # a class at run time


def unintelligible(error: Exception) -> Unintelligible:
    """Return the failure for an answer that this client cannot decode."""
    # The error names a field and a type, never a value: the answer may hold a secret.
    return Unintelligible(
        f"The answer does not come from a ledger of this version ({error}); check the URL and both versions."
    )
