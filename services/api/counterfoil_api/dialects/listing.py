"""Which vendors' APIs are spoken here, and what their clients are told to reach them."""

from typing import Annotated

import msgspec
from msgspec import Meta

from counterfoil.core.principal import Principal
from counterfoil.settings import Settings
from counterfoil_api.auth.conventions import OURS
from counterfoil_api.dialects.register import DIALECTS
from counterfoil_api.operations.api import Api
from counterfoil_api.operations.reading import Asker

api = Api("dialects", OURS)


class DialectDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One vendor's API."""

    name: Annotated[str, Meta(description="What the setting DIALECTS calls it, and `dialect` of a token that it made.")]
    title: str
    on: Annotated[bool, Meta(description="Whether it is spoken; if not, its paths are not there.")]
    base_url: Annotated[str, Meta(description="What the vendor's client is given as the address of the service.")]
    openapi: Annotated[str, Meta(description="Its operations, as OpenAPI 3.1.")]


class DialectList(msgspec.Struct, frozen=True, kw_only=True):
    """All of them, by name."""

    items: list[DialectDocument]


@api.get("/v1/dialects")
async def list_dialects(settings: Settings, _: Asker[Principal]) -> DialectList:
    """List the vendors' APIs that this service can speak, and say which of them it does. It takes no scope."""
    url, names = settings.public_url, settings.dialects
    return DialectList(
        items=[
            DialectDocument(
                name=each.name,
                title=each.title,
                on=each.name in names,
                base_url=url + each.base,
                openapi=url + each.openapi,
            )
            for each in sorted(DIALECTS, key=lambda each: each.name)
        ]
    )
