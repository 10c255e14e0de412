"""Scalingo's user tokens: https://developers.scalingo.com/tokens.

Clients exchange a token, by Basic authentication with an empty user, for a bearer token of one hour, and use that for
all other requests. A password is accepted only for creating a token.
"""

from dataclasses import replace
from typing import Annotated, Final

import msgspec
from aiohttp import web
from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import replace as with_fields

from counterfoil.core.credentials import SecretGiven
from counterfoil.core.refusals import CredentialsRefused, NotFound, Refusal
from counterfoil.core.secret import URL_SAFE, SecretShape
from counterfoil.core.subjects.token.commands import Create, Revoke, Rotate
from counterfoil.core.subjects.token.state import Token
from counterfoil.core.unit_of_work import Outcome
from counterfoil.documents.fields import Name
from counterfoil.uses.issue import Wish
from counterfoil_api.auth.credentials import PasswordGiven, PresentedCredentials, presented_by
from counterfoil_api.auth.principals import Caller
from counterfoil_api.dialects.dialect import Dialect
from counterfoil_api.dialects.errors import DialectErrors, message_of
from counterfoil_api.dialects.ids import TokenId, uuid_of
from counterfoil_api.dialects.logins import user_of
from counterfoil_api.dialects.times import milliseconds
from counterfoil_api.dialects.tokens import Tokens, owner_of
from counterfoil_api.handling.issuing import NewSecret
from counterfoil_api.handling.token_exchange import BearerRequest, Exchanging, with_secret
from counterfoil_api.http import errors
from counterfoil_api.http.problems import kind_of
from counterfoil_api.operations.api import Api
from counterfoil_api.operations.conventions import Conventions
from counterfoil_api.operations.reading import Body, IdempotencyKey, Presented
from counterfoil_api.operations.refusals import SECRET_REPLY
from counterfoil_api.operations.replies import New, Nothing

NAME: Final = "scalingo"
SHAPE: Final = SecretShape("tk-us-", URL_SAFE, 48)
_PREFIX: Final = f"/{NAME}/v1"
_AUDIENCE: Final = f"/{NAME}"
_CREATE: Final = ("POST", f"{_PREFIX}/tokens")
_EXCHANGE: Final = ("POST", f"{_PREFIX}/tokens/exchange")
_MOST: Final = 10_000
"""Tokens in a list; Scalingo has no pages."""


class ScalingoError(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A refusal: `error`, or `errors` of a field; `resource` is what was not found."""

    resource: str | None = None
    error: str | None = None
    code: str | None = None
    errors: dict[str, list[str]] | None = None


def _error(refusal: Refusal) -> ScalingoError:
    """Return the document of a refusal: https://developers.scalingo.com/#errors."""
    kind = kind_of(refusal)
    match kind.status:
        case 422:
            return ScalingoError(errors={str(refusal.facts.get("field", "base")): [message_of(refusal)]})
        case 400:
            return ScalingoError(error=f"There was a problem in the JSON you submitted: {message_of(refusal)}")
        case 404:
            return ScalingoError(resource="token", error="not found")
        case 500:
            return ScalingoError(error="Internal error occured, we're on it!")
    if isinstance(refusal, errors.OtpRequired):  # its clients compare exactly this text
        return ScalingoError(error="OTP Required")
    return ScalingoError(error=message_of(refusal), code=kind.name)


def _credentials(request: web.Request, _: bytes) -> PresentedCredentials:
    presented, operation = presented_by(request), (request.method, request.path)
    basic = request.headers["Authorization"][:6].lower() == "basic "
    match presented.credentials:
        case SecretGiven() if not basic or operation != _EXCHANGE:
            raise CredentialsRefused(
                "A token is not usable directly; exchange it for a bearer token at /v1/tokens/exchange."
            )
        case PasswordGiven() if operation != _CREATE:
            raise CredentialsRefused("A password can only create a token, which is exchanged for a bearer.")
    return replace(presented, audience=_AUDIENCE, as_owner=True)


api: Final = Api("tokens", Conventions(
    prefix=_PREFIX, credentials=_credentials, lenient=True, any_media_type=True,
    error_format=DialectErrors(shape=ScalingoError, document=_error),
    schemes={
        "bearer": {
            "type": "http", "scheme": "bearer", "description": "The bearer token that a token was exchanged for.",
        },
        "basic": {
            "type": "http", "scheme": "basic",
            "description": "To create: a user's e-mail address and password, and their code as X-Authorization-OTP. To "
            "exchange: an empty user and the token.",
        },
    },
))  # fmt: skip
DIALECT: Final = Dialect(name=NAME, title="Scalingo", base=f"/{NAME}", api=api, shape=SHAPE)


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """The name of a new token."""

    name: Name


class NewToken(msgspec.Struct, frozen=True, kw_only=True):
    """A new token: its name within `token`, as documented, or by itself, as the npm client sends it."""

    token: Named | UnsetType = UNSET
    name: Name | UnsetType = UNSET


class TokenDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A token; only the answer that creates it contains its value."""

    id: str
    name: str
    created_at: str
    last_used_at: Annotated[str | None, Meta(description="When it was last exchanged.")]
    token: str | UnsetType = UNSET


class OneToken(msgspec.Struct, frozen=True, kw_only=True):
    """One token."""

    token: TokenDocument


class ManyTokens(msgspec.Struct, frozen=True, kw_only=True):
    """Every token of the user."""

    tokens: list[TokenDocument]


class BearerDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A bearer token, valid for an hour."""

    token: str


class UserDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A user."""

    id: str
    username: str
    email: str
    fullname: str
    flags: dict[str, bool] = {}


class OneUser(msgspec.Struct, frozen=True, kw_only=True):
    """The calling user."""

    user: UserDocument


@api.get("/tokens", scope="tokens.read")
async def list_tokens(tokens: Tokens, caller: Caller) -> ManyTokens:
    """List the tokens of the calling user."""
    found, _ = await tokens.listed(caller, caller.owner, limit=_MOST)
    return ManyTokens(tokens=[_document(each.token) for each in found])


@api.post("/tokens", scope="tokens.create", executes=(Create,), refusals=SECRET_REPLY)
async def create_token(tokens: Tokens, caller: Caller, *, body: Body[NewToken], key: IdempotencyKey) -> New[OneToken]:
    """Create a token with the scopes of its user."""
    name = body.token.name if body.token is not UNSET else body.name
    if name is UNSET or not name.strip():
        raise errors.InvalidRequest("can't be blank", where="body", field="name")
    wish = Wish(name=name, owner=owner_of(caller), scopes=caller.scopes, dialect=NAME, shape=SHAPE)
    return New(await tokens.issuing.issue(caller, wish, key, _shown, kind=OneToken))


@api.post("/tokens/exchange", only_reads=True)
async def exchange_token(
    tokens: Tokens, exchanging: Exchanging, presented: Presented[PresentedCredentials]
) -> BearerDocument:
    """Exchange a token for a bearer token, which is valid for an hour."""
    given = presented.credentials
    if not isinstance(given, SecretGiven):
        await tokens.callers.judge(presented)
        raise CredentialsRefused("Send the token as the password of an empty user.")
    request = BearerRequest(audience=(f"{exchanging.settings.public_url}{_AUDIENCE}",), address=presented.address)
    issued = await exchanging.limits.guard.over(presented, lambda: with_secret(exchanging, given, request))
    return BearerDocument(token=issued.text)


@api.get("/tokens/{token_id}", scope="tokens.read")
async def get_token(tokens: Tokens, caller: Caller, *, token_id: TokenId) -> OneToken:
    """Read a token."""
    listed = await tokens.one(caller, scope="tokens.read", token_id=uuid_of(token_id))
    return OneToken(token=_document(listed.token))


@api.patch("/tokens/{token_id}/renew", scope="tokens.rotate", executes=(Rotate,), refusals=SECRET_REPLY)
async def renew_token(tokens: Tokens, caller: Caller, *, token_id: TokenId, key: IdempotencyKey) -> OneToken:
    """Regenerate a token: it keeps its id and gets a new value; the old value cannot be exchanged any more."""
    listed = await tokens.one(caller, scope="tokens.rotate", token_id=uuid_of(token_id))
    return await tokens.issuing.rotate(
        caller, listed.token, key, _shown, kind=OneToken, new_secret=NewSecret(forgets_use=True), shape=SHAPE
    )


@api.delete("/tokens/{token_id}", scope="tokens.revoke", executes=(Revoke,))
async def delete_token(tokens: Tokens, caller: Caller, *, token_id: TokenId) -> Nothing:
    """Delete a token."""
    listed = await tokens.one(caller, scope="tokens.revoke", token_id=uuid_of(token_id))
    await tokens.revoke(caller, listed, DIALECT.title)
    return Nothing()


@api.get("/users/self", refusals=(NotFound,))
async def get_self(tokens: Tokens, caller: Caller) -> OneUser:
    """Read the calling user."""
    user = await user_of(tokens, caller)
    if user is None:
        raise NotFound
    email, name = user.name or "", (user.name or "").partition("@")[0]
    return OneUser(user=UserDocument(id=f"us-{user.id}", username=name, email=email, fullname=name))


def _shown(outcome: Outcome, secret: str) -> OneToken:
    return OneToken(token=with_fields(_document(outcome.of(Token)), token=secret))


def _document(token: Token) -> TokenDocument:
    used = token.last_exchanged_at
    return TokenDocument(
        id=str(token.id),
        name=token.name or "",
        created_at=milliseconds(token.created_at),
        last_used_at=None if used is None else milliseconds(used),
    )
