"""Parameters of the Virtuozzo API's operations; an empty one counts as omitted."""

from typing import Annotated

import msgspec
from msgspec import Meta

from counterfoil.core.refusals import BadExpiry, BadScope, BadText, NotFound, Refuses
from counterfoil_api.http.errors import PasswordNeeded

Code = Annotated[str, Meta(description="The user's one-time code, if they use one.", max_length=32)]
ApiList = Annotated[
    tuple[str, ...],
    Meta(description="Methods: a comma list, a JSON array, or repeated.", examples=[["env.control.GetEnvs"]]),
    Refuses((BadScope,)),
]
Id = Annotated[str, Refuses((NotFound,))]
Ids = Annotated[
    tuple[str, ...],
    Meta(description="Ids with commas or semicolons between them, or * for all.", examples=[["1;4;6"]]),
    Refuses((NotFound,)),
]
Date = Annotated[str, Meta(description="In UTC.", examples=["2030-01-31 00:00:00"]), Refuses((BadExpiry,))]


class Nothing(msgspec.Struct, frozen=True, kw_only=True):
    """No parameters but `session`."""


class Change(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The password that confirms a change of a token."""

    password: Annotated[str, Meta(description="The password of the caller's user."), Refuses((PasswordNeeded,))] = ""
    code: Code = ""


class NewToken(Change, frozen=True, kw_only=True, rename="camel"):
    """A new token; without a template and methods it allows nothing, without an expiry it never expires."""

    description: Annotated[str, Refuses((BadText,))] = ""
    token_template: Annotated[str, Refuses((BadScope,))] = ""
    api_list: ApiList = ()
    expires_at: Date = ""

    @property
    def names_methods(self) -> bool:
        """Whether the request lists methods; `[]` is the empty list."""
        return any(self.api_list)


class TokenChanges(NewToken, frozen=True, kw_only=True, rename="camel"):
    """Changes; omitted parameters stay as they are."""

    id: Id = ""


class OneToken(Change, frozen=True, kw_only=True, rename="camel"):
    """One token: `ids` is what py-jelastic calls its `id`."""

    id: Id = ""
    ids: Id = ""


class TokensToEnd(Change, frozen=True, kw_only=True, rename="camel"):
    """Some tokens, or all of the caller's owner."""

    ids: Ids = ()


class Named(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Some tokens or sessions of the caller's owner."""

    ids: Ids = ()


class Signin(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A signin."""

    login: Annotated[str, Meta(description="An e-mail address; ACCOUNT/ADDRESS for another account.")]
    password: str
    code: Code = ""


class Search(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A part of the methods' names, in any letter case."""

    search: str = ""
    sort_param: Annotated[str, Meta(description="The name of `search` in py-jelastic.")] = ""
