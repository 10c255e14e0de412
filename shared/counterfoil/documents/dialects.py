"""The vendors' APIs that a service can speak."""

from typing import Annotated

import msgspec
from msgspec import Meta


class DialectDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One vendor's API."""

    name: Annotated[str, Meta(description="Its name in the setting DIALECTS, and the `dialect` of tokens made by it.")]
    title: str
    on: Annotated[bool, Meta(description="Whether this service speaks it; if not, its paths do not exist.")]
    base_url: Annotated[str, Meta(description="The address of the service for the vendor's client.")]
    openapi: Annotated[str, Meta(description="Its operations, as OpenAPI 3.1.")]


class DialectList(msgspec.Struct, frozen=True, kw_only=True):
    """All dialects, by name."""

    items: list[DialectDocument]
