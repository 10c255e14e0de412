"""The fields of forms and query strings."""

from urllib.parse import parse_qsl

from counterfoil.core.secret import stands_in
from counterfoil_api.http.errors import CredentialsInQuery, InvalidRequest

_MOST_FIELDS = 64
_SECRET_NAMES = frozenset(
    {"access_token", "api_key", "apikey", "authorization", "client_secret", "password", "secret", "token"}
)


def fields_of(text: str, *, where: str) -> dict[str, str]:
    """Return the fields of a form or query string, each at most once (RFC 6749 3.1)."""
    pairs = _pairs_of(text, where=where)
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise given_twice(where)
    return fields


def _pairs_of(
    text: str, *, where: str, own: frozenset[str] = frozenset(), lenient: bool = False
) -> list[tuple[str, str]]:
    try:
        pairs = parse_qsl(
            text, keep_blank_values=True, strict_parsing=not lenient, errors="strict", max_num_fields=_MOST_FIELDS
        )
    except ValueError:
        raise InvalidRequest(
            f"The {where} must be percent-encoded name=value pairs in UTF-8, such as name=backup&limit=10.", where=where
        ) from None
    names = {name.lower() for name, _ in pairs if name not in own}
    if where == "query" and (not _SECRET_NAMES.isdisjoint(names) or _hold_a_secret(pairs)):
        raise CredentialsInQuery
    if "\x00" in text or "%00" in text:
        raise InvalidRequest("No parameter may contain the character NUL.", where=where)
    return pairs


def form_of(
    text: str, repeatable: frozenset[str], *, where: str = "form", own: frozenset[str] = frozenset(),
    lenient: bool = False,
) -> dict[str, object]:  # fmt: skip
    """Return the fields of a form or query string, of which the `repeatable` have a list of values (RFC 8693 2.1).

    The operation's `own` parameters may have a name that usually holds a secret, such as `token` for a reference.
    A `lenient` operation accepts a name without a value, such as `?subscribe`.
    """
    pairs = _pairs_of(text, where=where, own=own, lenient=lenient) if text else []
    once_only = [pair for pair in pairs if pair[0] not in repeatable]
    fields: dict[str, object] = {**dict(once_only)}
    if len(fields) != len(once_only):
        raise given_twice(where)
    for name in repeatable:
        fields[name] = [value for given, value in pairs if given == name]
    return fields


def all_of(text: str) -> dict[str, list[str]]:
    """Return the fields of a form, or of a query string like a form, each with all its values; secrets are allowed."""
    fields: dict[str, list[str]] = {}
    for name, value in _pairs_of(text, where="form", lenient=True) if text else ():
        fields.setdefault(name, []).append(value)
    return fields


def given_twice(where: str) -> InvalidRequest:
    """Return the refusal of a parameter that is given more than once."""
    return InvalidRequest("A parameter is given twice; give each one once.", where=where)


def _hold_a_secret(pairs: list[tuple[str, str]]) -> bool:
    return any(stands_in(name) or stands_in(value) for name, value in pairs)
