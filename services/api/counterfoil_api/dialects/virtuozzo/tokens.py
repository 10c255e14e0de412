"""The token methods of Virtuozzo's page "Personal Access Tokens"; a change needs the user's password."""

from math import ceil
from typing import Final, NamedTuple

from msgspec import UNSET

from counterfoil.core.duration import spelt
from counterfoil.core.principal import Principal
from counterfoil.core.refusals import NotFound
from counterfoil.core.subjects.token.acceptance import status_at
from counterfoil.core.subjects.token.commands import Create, Renew, Revoke, Rotate, TokenCommand, Update
from counterfoil.core.subjects.token.state import Token
from counterfoil.core.unit_of_work import AllOrNothing, Outcome
from counterfoil.postgres.listing import Filter, Listed
from counterfoil.uses.issue import Wish
from counterfoil_api.auth.principals import Caller
from counterfoil_api.dialects.tokens import Tokens, owner_of, revocation
from counterfoil_api.dialects.virtuozzo.answers import TEMPLATE, ApiToken, TokenAnswer, TokensAnswer, api_token
from counterfoil_api.dialects.virtuozzo.api import NAME, SHAPE, Answer, api
from counterfoil_api.dialects.virtuozzo.callers import confirm, require
from counterfoil_api.dialects.virtuozzo.dates import date_of, expiry
from counterfoil_api.dialects.virtuozzo.methods import Method, items, scopes_of, words
from counterfoil_api.dialects.virtuozzo.parameters import Named, NewToken, OneToken, TokenChanges, TokensToEnd
from counterfoil_api.dialects.virtuozzo.templates import template_named
from counterfoil_api.handling.issuing import NewSecret
from counterfoil_api.http.errors import InvalidRequest
from counterfoil_api.operations.reading import ClientAddress, Fields, IdempotencyKey
from counterfoil_api.operations.refusals import SECRET_REPLY

_CREATE: Final = Method("users.authentication.CreateToken", "tokens.create")
_EDIT: Final = Method("users.authentication.EditToken", "tokens.update")
_REGENERATE: Final = Method("users.authentication.RegenerateToken", "tokens.rotate")
_DELETE: Final = Method("users.authentication.DeleteTokens", "tokens.revoke")
_LIST: Final = Method("users.authentication.GetTokens", "tokens.read")
_MOST: Final = 500
"""Tokens of one look-up, and ids in one call."""
_AT_ONCE: Final = 100
"""Tokens that one transaction revokes."""
_CUSTOM: Final = "custom"
"""The template name that clients send for a token without one."""


class Allowed(NamedTuple):
    """Scopes for a token, and the name of the template that contains them."""

    scopes: tuple[str, ...]
    template: str | None

    def added_to(self, metadata: dict[str, str]) -> dict[str, str]:
        """Return the metadata with the template's name."""
        rest = {key: value for key, value in metadata.items() if key != TEMPLATE}
        return rest if self.template is None else {**rest, TEMPLATE: self.template}


@api.both(
    _CREATE.path,
    scope=_CREATE.scope,
    executes=(Create,),
    refusals=SECRET_REPLY,
    example_reply=TokenAnswer(
        token=ApiToken(
            id=42, key="0123456789abcdef" * 2 + "01234567", description="nightly backup",
            api_list_items=items(("virtuozzo.environment.control.stopenv",)), expires_at="2030-01-31 00:00:00",
            last_used=None,
        )
    ),
)  # fmt: skip
async def create_token(
    tokens: Tokens, caller: Caller, address: ClientAddress, *, fields: Fields[NewToken], key: IdempotencyKey
) -> TokenAnswer:
    """Create a token; only this answer contains its key."""
    await confirm(tokens, caller, _CREATE, fields, address)
    allowed = await _allowed(tokens, caller, fields) or Allowed((), None)
    wish = Wish(
        name=fields.description, owner=owner_of(caller), scopes=allowed.scopes, metadata=allowed.added_to({}),
        expires_at=expiry(fields.expires_at), dialect=NAME, shape=SHAPE,
    )  # fmt: skip

    def render(outcome: Outcome, plain: str) -> TokenAnswer:
        return TokenAnswer(token=api_token(outcome.of(Token), key=plain))

    return await tokens.issuing.issue(caller, wish, key, render, kind=TokenAnswer)


@api.both(_EDIT.path, scope=_EDIT.scope, executes=(Update, Renew))
async def edit_token(
    tokens: Tokens, caller: Caller, address: ClientAddress, *, fields: Fields[TokenChanges], key: IdempotencyKey
) -> TokenAnswer:
    """Change a token's description, methods or expiry; its key stays."""
    await confirm(tokens, caller, _EDIT, fields, address)
    listed = await _one(tokens, caller, fields.id, _EDIT)
    token, ends = listed.token, expiry(fields.expires_at)
    allowed = await _allowed(tokens, caller, fields, token.scopes)
    commands: list[TokenCommand] = [
        Update(
            account=caller.account, id=token.id, by=caller, name=fields.description or UNSET,
            scopes=UNSET if allowed is None else allowed.scopes,
            metadata=UNSET if allowed is None else allowed.added_to(token.metadata),
        )
    ]  # fmt: skip
    if ends is not None and date_of(ends) != date_of(token.expires_at):
        await require(tokens, caller, _EDIT._replace(scope="tokens.renew"))
        commands.append(Renew(account=caller.account, id=token.id, by=caller, expires_at=ends))

    def render(outcome: Outcome) -> TokenAnswer:
        return TokenAnswer(token=api_token(outcome.of(Token), listed.last_used_at))

    return await tokens.change(tuple(commands), key, render, kind=TokenAnswer)


@api.both(_REGENERATE.path, scope=_REGENERATE.scope, executes=(Rotate,), refusals=SECRET_REPLY)
async def regenerate_token(
    tokens: Tokens, caller: Caller, address: ClientAddress, *, fields: Fields[OneToken], key: IdempotencyKey
) -> TokenAnswer:
    """Replace a token's key; only this answer contains it, and the previous key ends at once.

    An expired token is valid again, for its own lifetime or for as long as it was before.
    """
    await confirm(tokens, caller, _REGENERATE, fields, address)
    listed = await _one(tokens, caller, fields.id or fields.ids, _REGENERATE)

    def render(outcome: Outcome, plain: str) -> TokenAnswer:
        return TokenAnswer(token=api_token(outcome.of(Token), listed.last_used_at, plain))

    new_secret = NewSecret(lifetime=_lifetime_again(listed))
    return await tokens.issuing.rotate(
        caller, listed.token, key, render, kind=TokenAnswer, new_secret=new_secret, shape=SHAPE
    )


@api.both(_DELETE.path, scope=_DELETE.scope, executes=(Revoke,))
async def delete_tokens(
    tokens: Tokens, caller: Caller, address: ClientAddress, *, fields: Fields[TokensToEnd]
) -> Answer:
    """Delete all the named tokens, or none if one of them does not exist."""
    await confirm(tokens, caller, _DELETE, fields, address)
    if not words(fields.ids):
        raise InvalidRequest("Name tokens by their ids, or all with *.", where="form", field="ids")
    found = await _several(tokens, caller, fields.ids, _DELETE)
    found.sort(key=lambda each: each.token.id == caller.actor.id)  # revoked last: until then it may revoke others
    commands = [revocation(caller, each, "Virtuozzo") for each in found]
    for first in range(0, len(commands), _AT_ONCE):
        await tokens.writing.execute(AllOrNothing(tuple(commands[first : first + _AT_ONCE])))
    return Answer()


@api.both(_LIST.path, only_reads=True, scope=_LIST.scope)
async def get_tokens(tokens: Tokens, caller: Caller, *, fields: Fields[Named]) -> TokensAnswer:
    """Read the named tokens, or all of the caller's owner."""
    await require(tokens, caller, _LIST)
    found = await _several(tokens, caller, fields.ids, _LIST)
    return TokensAnswer(api_tokens=[api_token(each.token, each.last_used_at) for each in found])


async def _allowed(tokens: Tokens, caller: Principal, given: NewToken, held: tuple[str, ...] = ()) -> Allowed | None:
    """Return the scopes that the request gives a token; None if it states none."""
    if given.token_template and given.token_template.casefold() != _CUSTOM:
        if given.names_methods:
            raise InvalidRequest("Give a template or a list of methods, not both.", where="form", field="apiList")
        template = await template_named(tokens, caller, given.token_template)
        return Allowed(template.scopes, template.name)
    return Allowed(scopes_of(words(given.api_list), held), None) if given.names_methods else None


def _lifetime_again(listed: Listed) -> str | None:
    """Return the lifetime of an expired token that gets a new key: the one that it had before."""
    token = listed.token
    if token.expires_at is None or status_at(token, listed.at) != "expired":
        return None
    return token.lifetime or spelt(max(ceil((token.expires_at - token.lifetime_start).total_seconds()), 0))


async def _one(tokens: Tokens, caller: Principal, text: str, method: Method) -> Listed:
    numbers = _numbers(words((text,)))
    if len(numbers) != 1:
        raise InvalidRequest("Name one token by its id, such as 42.", where="form", field="id")
    return await tokens.one(caller, number=numbers[0], scope=method.scope, instead=(method.permission,))


async def _several(tokens: Tokens, caller: Principal, ids: tuple[str, ...], method: Method) -> list[Listed]:
    """Return the named tokens in the order of their ids; with `*` or without ids all of the caller's owner."""
    owner, named = owner_of(caller), words(ids)
    numbers = None if named == ("*",) or not any(ids) else _numbers(named)
    found: list[Listed] = []
    while True:
        page, total = await tokens.listed(
            caller, owner if numbers is None else None, matching=Filter(numbers=numbers), scope=method.scope,
            instead=(method.permission,), sort="number", offset=len(found), limit=_MOST,
        )  # fmt: skip
        found += page
        if not page or len(found) >= total:
            break
    if numbers is not None and len(found) < len(numbers):
        raise NotFound
    return found


def _numbers(ids: tuple[str, ...]) -> tuple[int, ...]:
    if len(ids) > _MOST or not all(each.isascii() and each.isdigit() and len(each) <= 10 for each in ids):
        raise InvalidRequest(f"Ids are numbers such as 42, at most {_MOST} of them.", where="form", field="ids")
    return tuple(dict.fromkeys(int(each) for each in ids))
