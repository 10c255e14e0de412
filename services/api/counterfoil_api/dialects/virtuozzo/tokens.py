"""Tokens: create, edit, regenerate and delete them with the user's password, and read them."""

from math import ceil
from typing import Final, NamedTuple

from msgspec import UNSET

from counterfoil.core.duration import spelt
from counterfoil.core.principal import Principal
from counterfoil.core.refusals import (
    BadExpiry,
    BadScope,
    BadText,
    BeyondCaller,
    BeyondOwner,
    BeyondPolicy,
    CredentialsRefused,
    KeyTooShort,
    NotFound,
    RenewsItself,
    ScopeMissing,
    SecretNoLongerAvailable,
)
from counterfoil.core.subjects.token.acceptance import status_at
from counterfoil.core.subjects.token.commands import Change as TokenChange
from counterfoil.core.subjects.token.commands import Renew, Revoke, Update
from counterfoil.core.subjects.token.state import Token
from counterfoil.core.unit_of_work import AllOrNothing, Outcome
from counterfoil.postgres.listing import Filter, Listed
from counterfoil.uses.issue import Wish
from counterfoil_api.dialects.tokens import Tokens, owner_of
from counterfoil_api.dialects.virtuozzo.answers import TEMPLATE, ApiToken, TokenAnswer, TokensAnswer, api_token
from counterfoil_api.dialects.virtuozzo.api import NAME, SHAPE, Answer, api
from counterfoil_api.dialects.virtuozzo.callers import confirm, within
from counterfoil_api.dialects.virtuozzo.dates import date_of, expiry
from counterfoil_api.dialects.virtuozzo.methods import items, scope_of, scopes_of, words
from counterfoil_api.dialects.virtuozzo.parameters import NewToken, OneToken, TokenChanges, TokensToEnd, TokensToSee
from counterfoil_api.dialects.virtuozzo.templates import template_named
from counterfoil_api.handling.issuing import Turn
from counterfoil_api.http.errors import InvalidRequest, PasswordNeeded
from counterfoil_api.operations.reading import Asker, ClientAddress, Fields, IdempotencyKey

_PATH: Final = "/users/authentication/rest"
_EDIT, _REGENERATE, _DELETE, _LIST = (
    f"users.authentication.{function}" for function in ("EditToken", "RegenerateToken", "DeleteTokens", "GetTokens")
)
_MOST: Final = 500
"""Tokens of one look-up, and ids in one call."""
_AT_ONCE: Final = 100
"""Tokens that one transaction revokes."""
_CUSTOM: Final = "custom"
"""The template name that clients send for a token without one."""
_CHANGE: Final = (ScopeMissing, PasswordNeeded, CredentialsRefused, BeyondCaller)
_WORDS: Final = (BadText, BadScope, BadExpiry, BeyondOwner, BeyondPolicy)
_ONCE: Final = (KeyTooShort, SecretNoLongerAvailable)


class Allowed(NamedTuple):
    """Scopes for a token, and the name of the template that contains them."""

    scopes: tuple[str, ...]
    template: str | None

    def added_to(self, metadata: dict[str, str]) -> dict[str, str]:
        """Return the metadata with the template's name."""
        rest = {key: value for key, value in metadata.items() if key != TEMPLATE}
        return rest if self.template is None else {**rest, TEMPLATE: self.template}


@api.both(
    f"{_PATH}/createtoken",
    scope="tokens.create",
    refusals=(*_CHANGE, *_WORDS, *_ONCE),
    answers=TokenAnswer(
        token=ApiToken(
            id=42, key="0123456789abcdef" * 2 + "01234567", description="nightly backup",
            api_list_items=items(("virtuozzo.environment.control.stopenv",)), expires_at="2030-01-31 00:00:00",
            last_used=None,
        )
    ),
)  # fmt: skip
async def create_token(
    tokens: Tokens, asker: Asker[Principal], address: ClientAddress, *, fields: Fields[NewToken], key: IdempotencyKey
) -> TokenAnswer:
    """Create a token; only this answer contains its key."""
    await within(tokens, asker, "users.authentication.CreateToken", "tokens.create")
    await confirm(tokens, asker, fields, address)
    allowed = await _allowed(tokens, asker, fields) or Allowed((), None)
    wish = Wish(
        name=fields.description, owner=owner_of(asker), scopes=allowed.scopes, metadata=allowed.added_to({}),
        expires_at=expiry(fields.expires_at), dialect=NAME, shape=SHAPE,
    )  # fmt: skip

    def render(outcome: Outcome, plain: str) -> TokenAnswer:
        return TokenAnswer(token=api_token(outcome.of(Token), key=plain))

    return await tokens.issuing.issue(asker, wish, key, render, kind=TokenAnswer)


@api.both(f"{_PATH}/edittoken", scope="tokens.update", refusals=(*_CHANGE, *_WORDS, NotFound, RenewsItself))
async def edit_token(
    tokens: Tokens,
    asker: Asker[Principal],
    address: ClientAddress,
    *,
    fields: Fields[TokenChanges],
    key: IdempotencyKey,
) -> TokenAnswer:
    """Change a token's description, methods or expiry; its key stays."""
    await within(tokens, asker, _EDIT, "tokens.update")
    await confirm(tokens, asker, fields, address)
    listed = await _one(tokens, asker, fields.id, _EDIT, "tokens.update")
    token, ends = listed.token, expiry(fields.expires_at)
    allowed = await _allowed(tokens, asker, fields, token.scopes)
    commands: list[TokenChange] = [
        Update(
            account=asker.account, token_id=token.id, by=asker, name=fields.description or UNSET,
            scopes=UNSET if allowed is None else allowed.scopes,
            metadata=UNSET if allowed is None else allowed.added_to(token.metadata),
        )
    ]  # fmt: skip
    if ends is not None and date_of(ends) != date_of(token.expires_at):
        await within(tokens, asker, _EDIT, "tokens.renew")
        commands.append(Renew(account=asker.account, token_id=token.id, by=asker, expires_at=ends))

    def render(outcome: Outcome) -> TokenAnswer:
        return TokenAnswer(token=api_token(outcome.of(Token), listed.last_used_at))

    return await tokens.change(tuple(commands), key, render, kind=TokenAnswer)


@api.both(f"{_PATH}/regeneratetoken", scope="tokens.rotate", refusals=(*_CHANGE, BeyondPolicy, NotFound, *_ONCE))
async def regenerate_token(
    tokens: Tokens, asker: Asker[Principal], address: ClientAddress, *, fields: Fields[OneToken], key: IdempotencyKey
) -> TokenAnswer:
    """Replace a token's key; only this answer contains it, and the previous key ends at once.

    An expired token is valid again, for its own lifetime or for as long as it was before.
    """
    await within(tokens, asker, _REGENERATE, "tokens.rotate")
    await confirm(tokens, asker, fields, address)
    listed = await _one(tokens, asker, fields.id or fields.ids, _REGENERATE, "tokens.rotate")

    def render(outcome: Outcome, plain: str) -> TokenAnswer:
        return TokenAnswer(token=api_token(outcome.of(Token), listed.last_used_at, plain))

    turn = Turn(shape=SHAPE, lifetime=_lifetime_again(listed))
    return await tokens.issuing.rotate(asker, listed.token, key, render, kind=TokenAnswer, turn=turn)


@api.both(f"{_PATH}/deletetokens", scope="tokens.revoke", refusals=(*_CHANGE, NotFound))
async def delete_tokens(
    tokens: Tokens, asker: Asker[Principal], address: ClientAddress, *, fields: Fields[TokensToEnd]
) -> Answer:
    """Delete all the named tokens, or none if one of them does not exist."""
    await within(tokens, asker, _DELETE, "tokens.revoke")
    await confirm(tokens, asker, fields, address)
    if not words(fields.ids):
        raise InvalidRequest("Name tokens by their ids, or all with *.", where="form", field="ids")
    found = await _several(tokens, asker, fields.ids, _DELETE, "tokens.revoke")
    found.sort(key=lambda each: each.token.id == asker.actor.id)  # revoked last: until then it may revoke others
    commands = [
        Revoke(account=asker.account, token_id=each.token.id, by=asker, reason="Deleted through the Virtuozzo API.")
        for each in found
    ]
    for first in range(0, len(commands), _AT_ONCE):
        await tokens.writing.execute(AllOrNothing(tuple(commands[first : first + _AT_ONCE])))
    return Answer()


@api.both(f"{_PATH}/gettokens", only_reads=True, scope="tokens.read", refusals=(ScopeMissing, NotFound))
async def get_tokens(tokens: Tokens, asker: Asker[Principal], *, fields: Fields[TokensToSee]) -> TokensAnswer:
    """Read the named tokens, or all of the caller's owner."""
    await within(tokens, asker, _LIST, "tokens.read")
    found = await _several(tokens, asker, fields.ids, _LIST, "tokens.read")
    return TokensAnswer(api_tokens=[api_token(each.token, each.last_used_at) for each in found])


async def _allowed(tokens: Tokens, asker: Principal, given: NewToken, held: tuple[str, ...] = ()) -> Allowed | None:
    """Return the scopes that the request gives a token; None if it states none."""
    if given.token_template and given.token_template.casefold() != _CUSTOM:
        if given.names_methods:
            raise InvalidRequest("Give a template or a list of methods, not both.", where="form", field="apiList")
        template = await template_named(tokens, asker, given.token_template)
        return Allowed(template.scopes, template.name)
    return Allowed(scopes_of(words(given.api_list), held), None) if given.names_methods else None


def _lifetime_again(listed: Listed) -> str | None:
    """Return the lifetime of an expired token that gets a new key: the one that it had before."""
    token = listed.token
    if token.expires_at is None or status_at(token, listed.at) != "expired":
        return None
    return token.lifetime or spelt(max(ceil((token.expires_at - token.lifetime_start).total_seconds()), 0))


async def _one(tokens: Tokens, asker: Principal, text: str, method: str, scope: str) -> Listed:
    numbers = _numbers(words((text,)))
    if len(numbers) != 1:
        raise InvalidRequest("Name one token by its id, such as 42.", where="form", field="id")
    return await tokens.one(asker, number=numbers[0], scope=scope, instead=(scope_of(method),))


async def _several(tokens: Tokens, asker: Principal, ids: tuple[str, ...], method: str, scope: str) -> list[Listed]:
    """Return the named tokens in the order of their ids; with `*` or without ids all of the caller's owner."""
    owner, named, instead = owner_of(asker), words(ids), (scope_of(method),)
    every = named == ("*",) or not any(ids)
    wanted = Filter(owner_type=owner.type, owner_id=owner.id) if every else Filter(numbers=_numbers(named))
    found: list[Listed] = []
    while True:
        page, total = await tokens.listed(
            asker, wanted, scope=scope, instead=instead, sort="number", offset=len(found), limit=_MOST
        )
        found += page
        if not page or len(found) >= total:
            break
    if wanted.numbers is not None and len(found) < len(wanted.numbers):
        raise NotFound
    return found


def _numbers(ids: tuple[str, ...]) -> tuple[int, ...]:
    if len(ids) > _MOST or not all(each.isascii() and each.isdigit() and len(each) <= 10 for each in ids):
        raise InvalidRequest(f"Ids are numbers such as 42, at most {_MOST} of them.", where="form", field="ids")
    return tuple(dict.fromkeys(int(each) for each in ids))
