"""RFC 7662: introspection of a token's secret or a bearer, exact at the moment of the reply."""

from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from counterfoil.core.credentials import token
from counterfoil.core.refusals import CredentialsRefused
from counterfoil.uses.bearers import Act
from counterfoil.uses.verify import Found
from counterfoil_api.auth.principals import Caller
from counterfoil_api.limits.callers import Callers
from counterfoil_api.native.oauth.client_authentication import CLIENTS, ClientFields
from counterfoil_api.native.oauth.oauth_errors import OAUTH
from counterfoil_api.operations.api import Api
from counterfoil_api.operations.reading import ClientAddress, Form

api = Api("bearers", CLIENTS)


class Introspection(ClientFields, frozen=True, kw_only=True):
    """The credentials to check."""

    token: Annotated[str, Meta(min_length=1, description="A token's secret, or a bearer.")]
    token_type_hint: Annotated[str, Meta(description="Not needed; it is ignored.")] = ""


class Verdict(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Active, with what the credentials may do; or inactive, with nothing else."""

    active: bool
    scope: str | None = None
    client_id: UUID | None = None
    sub: str | None = None
    aud: str | tuple[str, ...] | None = None
    iss: str | None = None
    exp: int | None = None
    iat: int | None = None
    jti: str | None = None
    token_type: Literal["Bearer"] | None = None
    account: UUID | None = None
    owner_type: str | None = None
    generation: int | None = None
    act: Act | None = None


_INACTIVE = Verdict(active=False)


@api.post(
    "/v1/introspect",
    error_format=OAUTH,
    needs="tokens.introspect",
    only_reads=True,
    example=Introspection(token="cfl_service_4dQp…"),  # noqa: S106 - nobody's
    example_reply=Verdict(
        active=True,
        scope="archive.read archive.copy",
        sub="backup",
        token_type="Bearer",  # noqa: S106 - the name of a type
    ),
)
async def introspect_token(
    callers: Callers, caller: Caller, *, form: Form[Introspection], address: ClientAddress
) -> Verdict:
    """Ask whether a token's secret or a bearer is good.

    The answer is exact at the moment it is given: nothing is cached. A token of another account is inactive, like
    everything else that is not good.
    """
    try:
        given = token(form.token)
    except CredentialsRefused:
        return _INACTIVE
    found = await callers.introspect(given, caller.account, address)
    return _INACTIVE if found is None else _verdict(found)


def _verdict(found: Found) -> Verdict:
    seen, until, claims = found.seen, found.until, found.claims
    verdict = Verdict(
        active=True,
        scope=" ".join(found.scopes),
        client_id=seen.id,
        sub=seen.owner.id,
        exp=None if until is None else int(until.timestamp()),
        iat=int(seen.created_at.timestamp()),
        token_type="Bearer",  # noqa: S106 - the name of a type
        account=seen.account,
        owner_type=seen.owner.type,
        generation=found.generation,
    )
    if claims is None:
        return verdict
    return replace(
        verdict, sub=claims.sub, aud=claims.aud, iss=claims.iss, iat=claims.iat, jti=claims.jti, act=claims.act
    )
