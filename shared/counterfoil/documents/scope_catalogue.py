"""The catalogue of scopes and scope sets."""

from typing import Annotated

import msgspec
from msgspec import Meta

from counterfoil.core import text
from counterfoil.documents.fields import Given, Page, Scopes

Sentence = Annotated[
    str,
    Meta(
        max_length=500, examples=["Read invoices, but not who pays them."], extra_json_schema={"pattern": text.PATTERN}
    ),
]


class ScopeGiven(Given, frozen=True, kw_only=True):
    """A sentence that describes a scope, and the URL of its documentation."""

    sentence: Sentence
    documentation: Annotated[str, Meta(max_length=2_048, examples=["https://docs.example/invoices"])] | None = None


class SetGiven(Given, frozen=True, kw_only=True):
    """Scopes that are granted together."""

    sentence: Sentence = ""
    scopes: Annotated[Scopes, Meta(extra_json_schema={"minItems": 1})]


class ScopeDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A scope of the catalogue; those of Counterfoil itself are built in and have no revision."""

    scope: str
    sentence: str
    documentation: str | None = None
    built_in: bool = False
    revision: int | None = None


class SetDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A set of the catalogue."""

    name: str
    sentence: str
    scopes: tuple[str, ...]
    built_in: bool = False
    revision: int | None = None


class ScopePage(Page[ScopeDocument], frozen=True, kw_only=True):
    """Scopes by name; the built-in ones come with the first page."""


class SetPage(Page[SetDocument], frozen=True, kw_only=True):
    """Sets by name; the built-in ones come with the first page."""
