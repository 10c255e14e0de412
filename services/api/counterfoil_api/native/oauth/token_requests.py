"""Requests to OAuth's token endpoint, read as RFC 6749, RFC 8693 and RFC 8707 define them."""

import re
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from msgspec import UNSET, Meta, UnsetType

from counterfoil.core.credentials import BearerGiven, SecretGiven, token
from counterfoil.core.refusals import BadScope
from counterfoil.documents.bearers import BearerDocument
from counterfoil_api.http.errors import InvalidRequest, TargetRefused
from counterfoil_api.native.oauth.client_authentication import ClientFields

EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
CLIENT: Final = "client_credentials"
ACCESS_TOKEN: Final = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - the name of a type
ID_TOKEN: Final = "urn:ietf:params:oauth:token-type:id_token"  # noqa: S105 - the name of a type
JWT: Final = "urn:ietf:params:oauth:token-type:jwt"
TokenType = Literal["urn:ietf:params:oauth:token-type:access_token", "urn:ietf:params:oauth:token-type:jwt"]
_TYPES: Final = (ACCESS_TOKEN, JWT)
_TARGET: Final = re.compile(r"[!-~]{1,255}")
_MOST_TARGETS: Final = 20


class TokenRequest(ClientFields, frozen=True, kw_only=True):
    """A grant. Unknown fields are ignored, and fields without a value count as not sent (RFC 6749 3.2)."""

    grant_type: Annotated[
        str,
        Meta(
            description="`client_credentials`, or RFC 8693's token exchange.",
            extra_json_schema={"enum": [CLIENT, EXCHANGE]},
        ),
    ]
    scope: (
        Annotated[
            str, Meta(description="Scopes with a space between them; without this field, all scopes of the token.")
        ]
        | None
    ) = None
    audience: tuple[str, ...] = ()
    resource: tuple[str, ...] = ()
    subject_token: Annotated[str, Meta(description="A token's secret, a bearer, or a trusted JWT.")] = ""
    subject_token_type: str = ""
    actor_token: Annotated[str, Meta(description="The token that acts on behalf of the subject.")] = ""
    actor_token_type: str = ""
    requested_token_type: str = ""
    expires_in: Annotated[int, Meta(ge=1, description="The bearer's longest lifetime in seconds.")] | None = None

    @property
    def scopes(self) -> tuple[str, ...] | None:
        """The requested scopes; None if the request names none."""
        if self.scope is None:
            return None
        # By RFC 6749 3.1 an empty scope counts as not sent, which would mean all scopes. No client can intend that.
        if not self.scope:
            raise BadScope(
                "scope is empty; write scopes such as invoices.read, or leave it out for all that the token holds.",
                field="scope",
            )
        return tuple(self.scope.split(" "))

    @property
    def targets(self) -> tuple[str, ...]:
        """The requested audiences of the bearer, resources included."""
        resources = tuple(filter(None, self.resource))
        wanted = tuple(dict.fromkeys([*filter(None, self.audience), *resources]))
        if len(wanted) > _MOST_TARGETS or not all(map(_TARGET.fullmatch, wanted)):
            raise TargetRefused("Name at most 20 audiences and resources, each of up to 255 visible ASCII characters.")
        if not all(map(_is_absolute, resources)):
            raise TargetRefused
        return wanted

    @property
    def subject(self) -> SecretGiven | BearerGiven:
        """The credentials to exchange."""
        return _typed("subject_token", self.subject_token, self.subject_token_type)

    @property
    def actor(self) -> SecretGiven | BearerGiven | None:
        """The credentials of the token that acts, if the request names one."""
        if not self.actor_token and not self.actor_token_type:
            return None
        return _typed("actor_token", self.actor_token, self.actor_token_type)

    @property
    def issued_token_type(self) -> TokenType:
        """The type of the issued token; a bearer is of both types."""
        if self.requested_token_type == JWT:
            return JWT
        if self.requested_token_type not in ("", ACCESS_TOKEN):
            raise InvalidRequest(f"requested_token_type must be {ACCESS_TOKEN} or {JWT}.", where="form")
        return ACCESS_TOKEN


class OAuthBearer(BearerDocument, frozen=True, kw_only=True):
    """A bearer in the form of RFC 6749 5.1 and RFC 8693 2.2.1."""

    issued_token_type: TokenType | UnsetType = UNSET


def _is_absolute(resource: str) -> bool:
    """Say whether a resource is an absolute URI without a fragment (RFC 8707 2)."""
    try:
        return bool(urlsplit(resource).scheme) and "#" not in resource
    except ValueError:  # a bracket that is never closed
        return False


def _typed(name: str, text: str, kind: str) -> SecretGiven | BearerGiven:
    if not text or kind not in _TYPES:
        known = " or ".join(_TYPES)
        raise InvalidRequest(
            f"{name} must be a token's secret or a bearer token, and {name}_type {known}.", where="form"
        )
    given = token(text)
    if kind == JWT and isinstance(given, SecretGiven):
        raise InvalidRequest(f"{name} is not a JWT; a token's secret has the type {ACCESS_TOKEN}.", where="form")
    return given
