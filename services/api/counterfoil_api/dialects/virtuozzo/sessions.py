"""Sessions: sign in, sign out, and list the caller's sessions; and read the caller's user."""

from typing import Final

from counterfoil.core.principal import Principal
from counterfoil.core.refusals import CredentialsRefused, NotFound
from counterfoil.core.subjects.token.commands import Revoke
from counterfoil.core.unit_of_work import AllOrNothing
from counterfoil.postgres.listing import Filter, Listed, numbered_page
from counterfoil_api.auth.credentials import PresentedCredentials, password_of
from counterfoil_api.auth.principals import Caller
from counterfoil_api.dialects.logins import LOGIN_REFUSALS, log_in, session_of, user_of
from counterfoil_api.dialects.tokens import Tokens
from counterfoil_api.dialects.virtuozzo.answers import Session, SessionsAnswer, UserAnswer, user_answer
from counterfoil_api.dialects.virtuozzo.api import NAME, Answer, api
from counterfoil_api.dialects.virtuozzo.callers import require, wrong_password
from counterfoil_api.dialects.virtuozzo.dates import date_of
from counterfoil_api.dialects.virtuozzo.methods import Method, words
from counterfoil_api.dialects.virtuozzo.parameters import Named, Nothing, Signin
from counterfoil_api.http.errors import InvalidRequest
from counterfoil_api.operations.reading import ClientAddress, Fields

_GET_SESSIONS: Final = Method("users.authentication.GetSessions", "tokens.read")
_SIGN_OUT_SESSIONS: Final = Method("users.authentication.SignoutSessions", "tokens.revoke")
_GET_USER_INFO: Final = Method("users.account.GetUserInfo", "tokens.read")
_MOST: Final = 500
_REASON: Final = "Signed out through the Virtuozzo API."


@api.both("/users/authentication/rest/signin", refusals=LOGIN_REFUSALS)
async def sign_in(tokens: Tokens, address: ClientAddress, *, fields: Fields[Signin]) -> UserAnswer:
    """Begin a session with the scopes of the user; it lasts for a day, or until it is signed out."""
    try:
        given = PresentedCredentials(password_of(fields.login, fields.password), fields.code or None, address)
        begun = await log_in(tokens, await tokens.callers.authenticate(given), NAME)
    except CredentialsRefused:
        raise wrong_password() from None
    return user_answer(begun.user, session=begun.secret)


@api.both("/users/authentication/rest/signout", executes=(Revoke,), refusals=(NotFound,))
async def sign_out(tokens: Tokens, caller: Caller, *, _: Fields[Nothing]) -> Answer:
    """End the calling session; to end a token, use deletetokens."""
    session = await session_of(tokens, caller)
    if session is None:
        raise NotFound("This is a token and no session; end it with deletetokens.")
    await _end(tokens, caller, [session])
    return Answer()


@api.both(_GET_SESSIONS.path, only_reads=True, scope=_GET_SESSIONS.scope)
async def get_sessions(tokens: Tokens, caller: Caller, *, _: Fields[Nothing]) -> SessionsAnswer:
    """List the sessions of the calling user."""
    await require(tokens, caller, _GET_SESSIONS)
    return SessionsAnswer(
        sessions=[
            Session(
                id=each.token.number,
                created_on=date_of(each.token.created_at),
                expires_at=date_of(each.token.expires_at),
                last_used=date_of(each.last_used_at),
                current=each.token.id == caller.actor.id,
            )
            for each in await _sessions(tokens, caller)
        ]
    )


@api.both(_SIGN_OUT_SESSIONS.path, scope=_SIGN_OUT_SESSIONS.scope, executes=(Revoke,))
async def sign_out_sessions(tokens: Tokens, caller: Caller, *, fields: Fields[Named]) -> Answer:
    """End some or all sessions of the calling user."""
    await require(tokens, caller, _SIGN_OUT_SESSIONS)
    sessions, ids = await _sessions(tokens, caller), words(fields.ids)
    if not ids:
        raise InvalidRequest("Name sessions by their ids, or all with *.", where="form", field="ids")
    if ids != ("*",):
        sessions = [each for each in sessions if str(each.token.number) in ids]
        if len(sessions) < len(ids):
            raise NotFound
    await _end(tokens, caller, sessions)
    return Answer()


@api.both(_GET_USER_INFO.path, only_reads=True, scope=_GET_USER_INFO.scope, refusals=(NotFound,))
async def get_user_info(tokens: Tokens, caller: Caller, *, _: Fields[Nothing]) -> UserAnswer:
    """Read the calling user, or the user that the calling token acts for."""
    await require(tokens, caller, _GET_USER_INFO)
    user = await user_of(tokens, caller)
    if user is None:
        raise NotFound("This token acts for no user.")
    return user_answer(user)


async def _sessions(tokens: Tokens, caller: Principal) -> list[Listed]:
    """Return the active sessions of the caller's user in the order of their numbers."""
    if caller.owner is None:
        return []
    matching = Filter(owner_type=caller.owner.type, owner_id=caller.owner.id, stored_status=("active",), sessions=True)
    found, _ = await numbered_page(
        tokens.reading.pool, caller.account, matching, sort="number", descending=False, offset=0, limit=_MOST
    )
    return found


async def _end(tokens: Tokens, caller: Principal, found: list[Listed]) -> None:
    commands = tuple(Revoke(account=caller.account, id=each.token.id, by=caller, reason=_REASON) for each in found)
    if commands:
        await tokens.writing.execute(AllOrNothing(commands))
