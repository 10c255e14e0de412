"""An invented dialect: one file is enough for an API with its own prefix, envelope, errors and credentials."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Annotated, Generic, TypeVar
from uuid import UUID

import msgspec
from aiohttp import web
from uuid_utils.compat import uuid7

from counterfoil.core.credentials import SecretGiven
from counterfoil.core.principal import Principal
from counterfoil.core.refusals import NotFound, Refusal, ScopeMissing
from counterfoil.core.secret import HEX, SecretShape
from counterfoil.core.subjects.token.commands import Create, Revoke
from counterfoil.core.subjects.token.state import Token
from counterfoil.postgres.listing import Filter, page_of
from counterfoil.uses.verify import Verifying
from counterfoil_api.auth.credentials import PresentedCredentials
from counterfoil_api.auth.principals import need
from counterfoil_api.dialects.dialect import Dialect
from counterfoil_api.handling.reading import Reading
from counterfoil_api.handling.writing import Writing
from counterfoil_api.http.addresses import client_of
from counterfoil_api.http.errors import CredentialsMissing
from counterfoil_api.http.problems import KINDS, kind_of, refusal_response
from counterfoil_api.operations.api import Api
from counterfoil_api.operations.conventions import Conventions
from counterfoil_api.operations.reading import Body, Caller, Fields, path_type
from counterfoil_api.operations.replies import New, Nothing

T = TypeVar("T")

SHAPE = SecretShape("pretend-", HEX, 40)
KeyId = Annotated[str, path_type("A key's id.", "^[0-9a-f]{32}$", "019ca8c17b4070008000" + "3f2a9c51d7e4")]


class Envelope(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """The envelope of every successful answer."""

    fine: bool = True
    result: T


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """The form of every refusal."""

    fine: bool = False
    why: str


class ErrorFormat:
    media_type = "application/json"
    shape: type = Failure
    headers: Mapping[str, str] = MappingProxyType({"X-Pretend": "1"})

    def response(self, refusal: Refusal) -> web.Response:
        kind = kind_of(refusal)
        status = 400 if kind.status == 422 else kind.status
        return refusal_response(refusal, Failure(why=kind.name), status=status, headers=self.headers)

    def examples(self, kinds: Iterable[type[Refusal]]) -> Mapping[int, Mapping[str, object]]:
        found: dict[int, dict[str, object]] = {}
        for each in kinds:
            kind = KINDS[each]
            found.setdefault(400 if kind.status == 422 else kind.status, {})[kind.name] = Failure(why=kind.name)
        return msgspec.to_builtins(found, str_keys=False)  # type: ignore[no-any-return]


def credentials(request: web.Request, _: bytes) -> PresentedCredentials:
    given = request.headers.get("X-Key")
    if given is None:
        raise CredentialsMissing
    return PresentedCredentials(SecretGiven(given), address=client_of(request))


class NewKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    title: str


class Key(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    key_id: str
    title: str
    key: str | None = None


class Word(msgspec.Struct, frozen=True, kw_only=True):
    said: str
    secret: str = ""


api = Api(
    "keys",
    Conventions(
        prefix="/pretend/api",
        error_format=ErrorFormat(),
        envelope=Envelope,
        credentials=credentials,
        lenient=True,
        any_media_type=True,
        schemes={"key": {"type": "apiKey", "in": "header", "name": "X-Key"}},
    ),
)
PRETEND = Dialect(name="pretend", title="Pretend", base="/pretend/api", api=api, shape=SHAPE)


@api.post("/keys", refusals=(ScopeMissing,))
async def create_key(
    writing: Writing, verifying: Verifying, caller: Caller[Principal], *, body: Body[NewKey]
) -> New[Key]:
    """Make a key."""
    need(caller, "tokens.create")
    assert caller.owner is not None
    secret = SHAPE.mint()
    command = Create(
        account=caller.account, id=uuid7(), by=caller, owner=caller.owner, name=body.title, scopes=caller.scopes,
        secret=verifying.peppers.minted(secret), dialect="pretend",
    )  # fmt: skip
    token = (await writing.execute(command)).of(Token)
    return New(Key(key_id=token.id.hex, title=token.name or "", key=secret.plain))


@api.get("/keys", refusals=(ScopeMissing,))
async def list_keys(reading: Reading, caller: Caller[Principal]) -> list[Key]:
    """List the keys."""
    need(caller, "tokens.read")
    found = await page_of(
        reading.pool, caller.account, Filter(), sort="created", descending=False, after=None, limit=100
    )
    return [Key(key_id=each.token.id.hex, title=each.token.name or "") for each in found]


@api.delete("/keys/{key_id}", refusals=(ScopeMissing, NotFound))
async def delete_key(writing: Writing, caller: Caller[Principal], *, key_id: KeyId) -> Nothing:
    """End a key."""
    need(caller, "tokens.revoke")
    if len(key_id) != 32 or not set(key_id) <= set(HEX):
        raise NotFound
    await writing.execute(Revoke(account=caller.account, id=UUID(key_id), by=caller, reason="deleted"))
    return Nothing()


@api.both("/say", only_reads=True)
async def say(*, fields: Fields[Word]) -> str:
    """Repeat a word, and how long the secret beside it is."""
    return f"{fields.said} {len(fields.secret)}"


@api.get("/fail")
async def fail() -> str:
    """Fail."""
    raise RuntimeError("a fault of ours")
