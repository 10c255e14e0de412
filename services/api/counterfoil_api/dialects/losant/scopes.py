"""Losant's scopes: https://docs.losant.com/rest-api/overview.

The ledger stores a word as a scope below its group, so that a wider scope contains it: `all.Application` is
`losant.application.*`, and `devices.get` is `losant.application.devices.get`.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from counterfoil.core.principal import Principal
from counterfoil_api.dialects.losant.words import WORDS
from counterfoil_api.http.errors import InvalidRequest

_PREFIX: Final = "losant."
_PARTS: Final = ("read", "cli", "bounded")


def _each_scope() -> Iterable[tuple[str, str, str]]:
    """Yield the group, the word and the scope of each scope."""
    for group, text in WORDS.items():
        whole, space = f"all.{group.capitalize()}", f"{_PREFIX}{group}."
        yield group, whole, f"{space}*"
        yield from ((group, f"{whole}.{part}", f"{space}all_{part}") for part in _PARTS)
        resource = ""
        for word in text.split():
            named = word.endswith(":")
            resource = word.removesuffix(":") if named else resource
            what = "*" if named else word
            yield group, f"{resource}.{what}", f"{space}{resource}.{what}"
    yield from (("application", word, f"{_PREFIX}application.{word}") for word in ("all.Device", "all.Device.read"))


SCOPES: Final[Mapping[str, str]] = {word: scope for _, word, scope in _each_scope()}
"""The scope of each word: all that a login may request."""
OF_APPLICATIONS: Final = frozenset(word for group, word, _ in _each_scope() if group == "application")
"""The scopes that a token of an application may have."""
_WORDS_BY_SCOPE: Final = {scope: word for word, scope in SCOPES.items()}


def word_of(scope: str) -> str:
    """Return the word of a scope; a scope without one stays as it is."""
    return _WORDS_BY_SCOPE.get(scope, scope)


def scopes_of(given: tuple[str, ...], *, field: str, of_applications: bool) -> tuple[str, ...]:
    """Return the scopes of words; each must be known and given once. Raises InvalidRequest."""
    if len(set(given)) != len(given):
        raise InvalidRequest(f"`{field}` holds a word twice; give each one once.", where="body", field=field)
    known = OF_APPLICATIONS if of_applications else SCOPES.keys()
    if unknown := [word for word in given if word not in known]:
        word = f"`{unknown[0]}`" if unknown[0].isascii() and unknown[0].isprintable() else "a word"
        raise InvalidRequest(
            f"`{field}` holds {word[:80]}, which is none of its scopes, such as all.Application or devices.get.",
            where="body", field=field,
        )  # fmt: skip
    return tuple(SCOPES[word] for word in given)


def _any(*words: str) -> tuple[str, ...]:
    return tuple(SCOPES[word] for word in words)


_ALL: Final = ("all.Application", "all.Organization", "all.User")
_READING: Final = (*_ALL, *(f"{each}.{part}" for each in _ALL for part in ("read", "bounded")))
LIST: Final = _any(*_READING, "applicationApiTokens.*", "applicationApiTokens.get")
POST: Final = _any(*_ALL, "applicationApiTokens.*", "applicationApiTokens.post")
GET: Final = _any(*_READING, "applicationApiToken.*", "applicationApiToken.get")
PATCH: Final = _any(*_ALL, "applicationApiToken.*", "applicationApiToken.patch")
DELETE: Final = _any(*_ALL, "applicationApiToken.*", "applicationApiToken.delete")
"""The scopes that allow each operation, one of which is enough, as its page says."""
_NATIVE: Final = {
    "tokens.read": (*LIST, *GET),
    "tokens.create": POST,
    "tokens.update": PATCH,
    "tokens.suspend": PATCH,
    "tokens.resume": PATCH,
    "tokens.revoke": DELETE,
}


def login_scopes(caller: Principal, requested: tuple[str, ...]) -> tuple[str, ...]:
    """Return the scopes of a login that requests these.

    At Losant a user has applications; here a native scope lets a user reach the tokens of others. So a scope that
    allows something with tokens adds the native scope, if the user has it.
    """
    if SCOPES["all.User"] in requested:
        return caller.scopes
    native = (
        scope for scope, any_of in _NATIVE.items() if not caller.lacks(scope) and not set(requested).isdisjoint(any_of)
    )
    return (*requested, *native)
