"""Losant's scopes: https://docs.losant.com/rest-api/overview.

A word is kept in the ledger within its group, so that the ledger's own rule says which one holds which: everything of
an application, `all.Application`, is `losant.application.*`, and `devices.get` is `losant.application.devices.get`.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from counterfoil.core.principal import Principal
from counterfoil_api.dialects.losant.words import WORDS
from counterfoil_api.http.errors import InvalidRequest

_PREFIX: Final = "losant."
_PARTS: Final = ("read", "cli", "bounded")


def _kept() -> Iterable[tuple[str, str, str]]:
    """Group, word and scope of each."""
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


KEPT: Final[Mapping[str, str]] = {word: scope for _, word, scope in _kept()}
"""How each word is kept in the ledger: all that may be asked for at a login."""
OF_APPLICATIONS: Final = frozenset(word for group, word, _ in _kept() if group == "application")
"""All that a token of an application may be given."""
_SHOWN: Final = {scope: word for word, scope in KEPT.items()}


def shown(scope: str) -> str:
    """The word of a scope; one that is not Losant's is shown as it is."""
    return _SHOWN.get(scope, scope)


def kept(given: tuple[str, ...], *, field: str, of_applications: bool) -> tuple[str, ...]:
    """The scopes of words that somebody gives, all known, each once. Raises InvalidRequest."""
    if len(set(given)) != len(given):
        raise InvalidRequest(f"`{field}` holds a word twice; give each one once.", where="body", field=field)
    known = OF_APPLICATIONS if of_applications else KEPT.keys()
    if strange := [word for word in given if word not in known]:
        shown = f"`{strange[0]}`" if strange[0].isascii() and strange[0].isprintable() else "a word"
        raise InvalidRequest(
            f"`{field}` holds {shown[:80]}, which is none of its scopes, such as all.Application or devices.get.",
            where="body", field=field,
        )  # fmt: skip
    return tuple(KEPT[word] for word in given)


def _any(*words: str) -> tuple[str, ...]:
    return tuple(KEPT[word] for word in words)


_ALL: Final = ("all.Application", "all.Organization", "all.User")
_READING: Final = (*_ALL, *(f"{each}.{part}" for each in _ALL for part in ("read", "bounded")))
LIST: Final = _any(*_READING, "applicationApiTokens.*", "applicationApiTokens.get")
POST: Final = _any(*_ALL, "applicationApiTokens.*", "applicationApiTokens.post")
GET: Final = _any(*_READING, "applicationApiToken.*", "applicationApiToken.get")
PATCH: Final = _any(*_ALL, "applicationApiToken.*", "applicationApiToken.patch")
DELETE: Final = _any(*_ALL, "applicationApiToken.*", "applicationApiToken.delete")
"""The scopes of which any one is enough for an operation, as its page says."""
_NATIVE: Final = {
    "tokens.read": (*LIST, *GET),
    "tokens.create": POST,
    "tokens.update": PATCH,
    "tokens.suspend": PATCH,
    "tokens.resume": PATCH,
    "tokens.revoke": DELETE,
}


def of_login(asker: Principal, wanted: tuple[str, ...]) -> tuple[str, ...]:
    """What a login may do that asks for these scopes.

    At Losant a user has applications; here it is a native scope that lets a user reach tokens that are not their own.
    So those scopes that allow something with tokens bring the native one with them, if the user holds it.
    """
    if KEPT["all.User"] in wanted:
        return asker.scopes
    native = (
        scope for scope, any_of in _NATIVE.items() if not asker.lacks(scope) and not set(wanted).isdisjoint(any_of)
    )
    return (*wanted, *native)
