"""What is asked of OAuth's token endpoint, read as RFC 6749, RFC 8693 and RFC 8707 say."""

import re
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET, Meta, UnsetType

from counterfoil.core.credentials import BearerGiven, SecretGiven, token
from counterfoil.core.refusals import BadScope
from counterfoil.documents.bearers import BearerDocument
from counterfoil_api.http.errors import InvalidRequest, TargetRefused
from counterfoil_api.native.oauth.client_authentication import CLIENT_ID, CLIENT_SECRET

EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
CLIENT: Final = "client_credentials"
ACCESS_TOKEN: Final = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - the name of a type
ID_TOKEN: Final = "urn:ietf:params:oauth:token-type:id_token"  # noqa: S105 - the name of a type
JWT: Final = "urn:ietf:params:oauth:token-type:jwt"
TokenType = Literal["urn:ietf:params:oauth:token-type:access_token", "urn:ietf:params:oauth:token-type:jwt"]
_TYPES: Final = (ACCESS_TOKEN, JWT)
_TARGET: Final = re.compile(r"[!-~]{1,255}")
_MOST_TARGETS: Final = 20


class TokenRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A grant; parameters that we do not know are ignored, those without a value count as not sent (RFC 6749 3.2)."""

    grant_type: Annotated[
        str,
        Meta(
            description="`client_credentials`, or RFC 8693's token exchange.",
            extra_json_schema={"enum": [CLIENT, EXCHANGE]},
        ),
    ]
    client_id: Annotated[str, Meta(description=CLIENT_ID)] = ""
    client_secret: Annotated[str, Meta(description=CLIENT_SECRET)] = ""
    scope: Annotated[str, Meta(description="Scopes with a space between them; without it all there are.")] | None = None
    audience: tuple[str, ...] = ()
    resource: tuple[str, ...] = ()
    subject_token: Annotated[str, Meta(description="A token's secret, a bearer, or a trusted JWT.")] = ""
    subject_token_type: str = ""
    actor_token: Annotated[str, Meta(description="Who acts on the subject's behalf.")] = ""
    actor_token_type: str = ""
    requested_token_type: str = ""
    expires_in: Annotated[int, Meta(ge=1, description="Seconds; how long the bearer lives at most.")] | None = None

    @property
    def scopes(self) -> tuple[str, ...] | None:
        """The scopes that are asked for; None if none are named."""
        if self.scope is None:
            return None
        # RFC 6749 3.1 would have an empty scope count as not sent, that is as everything. Nobody can mean that.
        if not self.scope:
            raise BadScope(
                "scope is empty; write scopes such as invoices.read, or leave it out for all that the token holds.",
                field="scope",
            )
        return tuple(self.scope.split(" "))

    @property
    def targets(self) -> tuple[str, ...]:
        """For whom the bearer is to be: audiences and resources alike."""
        resources = tuple(filter(None, self.resource))
        wanted = tuple(dict.fromkeys([*filter(None, self.audience), *resources]))
        if len(wanted) > _MOST_TARGETS or not all(map(_TARGET.fullmatch, wanted)):
            raise TargetRefused("Name at most 20 audiences and resources, each of up to 255 visible ASCII characters.")
        if not all(map(_is_absolute, resources)):
            raise TargetRefused
        return wanted

    @property
    def subject(self) -> SecretGiven | BearerGiven:
        """What is exchanged."""
        return _typed("subject_token", self.subject_token, self.subject_token_type)

    @property
    def actor(self) -> SecretGiven | BearerGiven | None:
        """Who acts, if anybody does."""
        if not self.actor_token and not self.actor_token_type:
            return None
        return _typed("actor_token", self.actor_token, self.actor_token_type)

    @property
    def issued_token_type(self) -> TokenType:
        """What is given; a bearer is both."""
        if self.requested_token_type == JWT:
            return JWT
        if self.requested_token_type not in ("", ACCESS_TOKEN):
            raise InvalidRequest(f"requested_token_type must be {ACCESS_TOKEN} or {JWT}.", where="form")
        return ACCESS_TOKEN


class OAuthBearer(BearerDocument, frozen=True, kw_only=True):
    """A bearer, as RFC 6749 5.1 and RFC 8693 2.2.1 show it."""

    issued_token_type: TokenType | UnsetType = UNSET


def _is_absolute(resource: str) -> bool:
    """Whether it is an absolute URI without a fragment (RFC 8707 2)."""
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
