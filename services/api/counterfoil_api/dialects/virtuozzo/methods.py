"""API methods: their names, their scopes in the ledger, and their form in lists."""

import hashlib
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, NamedTuple

import msgspec

from counterfoil.core.refusals import BadScope
from counterfoil.core.scopes import missing, well_formed
from counterfoil_api.dialects.virtuozzo.known_methods import NAMES

PREFIX: Final = "virtuozzo."
"""The prefix of every method's scope; the method follows in small letters."""
_METHOD: Final = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+){2}")
_READS: Final = ("get", "is", "has", "check", "find", "list", "read", "search")

KNOWN: Final = {PREFIX + name.lower(): name for name in NAMES}
"""The methods by their scopes."""


class Method(NamedTuple):
    """A method of this API, and the native scope that allows it to sessions and tokens alike."""

    name: str
    scope: str

    @property
    def path(self) -> str:
        """Its path: `/users/authentication/rest/createtoken`."""
        group, of, function = self.name.lower().split(".")
        return f"/{group}/{of}/rest/{function}"

    @property
    def permission(self) -> str:
        """The scope of a token that may call it."""
        return scope_of(self.name)


class Item(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A method in a list. By its name, a safe one changes nothing."""

    id: int
    method: str
    is_safe: bool
    is_collaboration_accessible: bool = False
    use_object_hash: bool = False


def scope_of(method: str) -> str:
    """Return the scope of a method, named in any letter case. Raises BadScope."""
    name = method.lower()
    if name.startswith("env."):
        name = f"environment.{name.removeprefix('env.')}"
    if not _METHOD.fullmatch(name) or not well_formed(PREFIX + name):
        raise BadScope(
            "A method is named by its group, class and function, such as environment.control.GetEnvs.", field="apiList"
        )
    return PREFIX + name


def scopes_of(named: Iterable[str], held: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return the scopes of methods; the name of a scope in `held` means that scope."""
    return tuple(dict.fromkeys(name if name in held else scope_of(name) for name in named))


@lru_cache(maxsize=4096)
def item(scope: str) -> Item:
    """Return a scope as a method in a list; a scope of no method has its own name there."""
    method = KNOWN.get(scope) or scope.removeprefix(PREFIX)
    return Item(id=number(scope), method=method, is_safe=method.rpartition(".")[2].lower().startswith(_READS))


@lru_cache(maxsize=1024)
def items(scopes: tuple[str, ...]) -> tuple[Item, ...]:
    """Return the methods that a token or a template allows; a branch such as virtuozzo.* gives its known methods."""
    branches = [scope for scope in scopes if scope.startswith(PREFIX) and scope.endswith(".*")]
    known = [scope for scope in KNOWN if branches and not missing(branches, (scope,))]
    return tuple(item(scope) for scope in dict.fromkeys((*(each for each in scopes if each not in branches), *known)))


def number(name: str) -> int:
    """Return an id of 31 bits, which is the same for a name in every list, process and version."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") >> 1


def words(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the elements of lists: `a,b`, `a;b`, the JSON array ["a","b"], or Python's ['a', 'b']."""
    bare = (text.strip().removeprefix("[").removesuffix("]").replace(";", ",") for text in texts)
    elements = (element.strip(" \t\r\n'\"") for text in bare for element in text.split(","))
    return tuple(dict.fromkeys(element for element in elements if element))
