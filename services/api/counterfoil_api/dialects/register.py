"""The list of dialects, and those that are switched on."""

from collections.abc import Iterable
from functools import lru_cache
from importlib.metadata import version
from typing import Any, Final

from counterfoil.core.secret import SecretShape
from counterfoil.settings import Settings
from counterfoil_api.auth.conventions import OURS
from counterfoil_api.dialects import canvus, cloudflare, losant, scalingo, virtuozzo
from counterfoil_api.dialects.dialect import Dialect
from counterfoil_api.operations.api import Api, Route
from counterfoil_api.operations.openapi import document

DIALECTS: Final[tuple[Dialect, ...]] = (
    canvus.DIALECT,
    cloudflare.DIALECT,
    losant.DIALECT,
    scalingo.DIALECT,
    virtuozzo.DIALECT,
)


def switched_on(names: Iterable[str], known: Iterable[Dialect] = DIALECTS) -> tuple[Dialect, ...]:
    """Return the dialects with these names."""
    chosen = frozenset(names)
    return tuple(each for each in known if each.name in chosen)


def shapes(known: Iterable[Dialect] = DIALECTS) -> tuple[SecretShape, ...]:
    """Return the forms of dialects' secrets; the native API accepts them even if the dialect is off."""
    return tuple(each.shape for each in known if each.shape is not None)


def client_headers(known: Iterable[Dialect] = DIALECTS) -> tuple[tuple[str, str], ...]:
    """Return the pairs of header names in which third parties present a client id and a secret."""
    return tuple(each.client_headers for each in known if each.client_headers is not None)


def routes_of(dialect: Dialect) -> list[Route]:
    """Return the operations of a dialect, and the one that describes them."""
    described = Api("description", OURS)

    @described.get(dialect.openapi, cache="public, max-age=300")
    async def get_description(settings: Settings) -> dict[str, Any]:
        """Read the OpenAPI document of this dialect."""
        return _document(dialect, settings.public_url)

    return [*dialect.api.routes, *described.routes]


@lru_cache(maxsize=16)
def _document(dialect: Dialect, url: str) -> dict[str, Any]:
    title = f"{dialect.title} by Counterfoil"
    return document(dialect.api.routes, version=version("counterfoil"), url=url, title=title)
