"""Sessions: sign in, sign out, and look at one's own; and who one is."""

from typing import Final

from counterfoil.core.principal import Principal
from counterfoil.core.refusals import CredentialsRefused, NotFound, ScopeMissing
from counterfoil.core.subjects.token.commands import Revoke
from counterfoil.core.unit_of_work import AllOrNothing
from counterfoil.postgres.listing import Filter, Listed, numbered_page
from counterfoil_api.auth.credentials import password_of
from counterfoil_api.dialects.logins import Kind, log_in
from counterfoil_api.dialects.virtuozzo.answers import Session, SessionsAnswer, UserAnswer, user_answer
from counterfoil_api.dialects.virtuozzo.api import NAME, Answer, api
from counterfoil_api.dialects.virtuozzo.callers import session_of, user_of, within, wrong_password
from counterfoil_api.dialects.virtuozzo.dates import date_of
from counterfoil_api.dialects.virtuozzo.methods import words
from counterfoil_api.dialects.virtuozzo.parameters import Nothing, SessionsToEnd, Signin
from counterfoil_api.handling.issuing import Issuing
from counterfoil_api.handling.reading import Reading
from counterfoil_api.handling.writing import Writing
from counterfoil_api.http.errors import InvalidRequest, OtpRequired, RateLimited
from counterfoil_api.limits.callers import Callers
from counterfoil_api.operations.reading import Asker, ClientAddress, Fields

_KIND: Final = Kind(dialect=NAME, seconds=86_400)
_PATH: Final = "/users/authentication/rest"
_MOST: Final = 500


@api.both(f"{_PATH}/signin", refusals=(CredentialsRefused, OtpRequired, RateLimited))
async def sign_in(
    callers: Callers, reading: Reading, issuing: Issuing, address: ClientAddress, *, fields: Fields[Signin]
) -> UserAnswer:
    """Begin a session, which may do what the user may; it lasts a day, or until it is signed out."""
    try:
        begun = await log_in(
            callers,
            reading,
            issuing,
            password_of(fields.login, fields.password),
            _KIND,
            otp=fields.code or None,
            address=address,
        )
    except CredentialsRefused:
        raise wrong_password() from None
    return user_answer(begun.user, session=begun.secret)


@api.both(f"{_PATH}/signout", refusals=(NotFound,))
async def sign_out(reading: Reading, writing: Writing, asker: Asker[Principal], *, _: Fields[Nothing]) -> Answer:
    """End the session that calls; a token is ended by deletetokens instead."""
    session = await session_of(reading, asker)
    if session is None:
        raise NotFound("This is a token and no session; end it with deletetokens.")
    await _end(writing, asker, [session])
    return Answer()


@api.both(f"{_PATH}/getsessions", only_reads=True, scope="tokens.read", refusals=(ScopeMissing,))
async def get_sessions(reading: Reading, asker: Asker[Principal], *, _: Fields[Nothing]) -> SessionsAnswer:
    """List the sessions of the user who calls."""
    await within(reading, asker, "users.authentication.GetSessions", "tokens.read")
    return SessionsAnswer(
        sessions=[
            Session(
                id=each.token.number,
                created_on=date_of(each.token.created_at),
                expires_at=date_of(each.token.expires_at),
                last_used=date_of(each.last_used_at),
                current=each.token.id == asker.actor.id,
            )
            for each in await _sessions(reading, asker)
        ]
    )


@api.both(f"{_PATH}/signoutsessions", scope="tokens.revoke", refusals=(ScopeMissing, NotFound))
async def sign_out_sessions(
    reading: Reading, writing: Writing, asker: Asker[Principal], *, fields: Fields[SessionsToEnd]
) -> Answer:
    """End some sessions of the user who calls, or all of them."""
    await within(reading, asker, "users.authentication.SignoutSessions", "tokens.revoke")
    sessions, wanted = await _sessions(reading, asker), words(fields.ids)
    if not wanted:
        raise InvalidRequest("Name sessions by their ids, or all with *.", where="form", field="ids")
    if wanted != ("*",):
        sessions = [each for each in sessions if str(each.token.number) in wanted]
        if len(sessions) < len(wanted):
            raise NotFound
    await _end(writing, asker, sessions)
    return Answer()


@api.both("/users/account/rest/getuserinfo", only_reads=True, scope="tokens.read", refusals=(ScopeMissing, NotFound))
async def get_user_info(reading: Reading, asker: Asker[Principal], *, _: Fields[Nothing]) -> UserAnswer:
    """Look at the user who calls, or on whose behalf a token does."""
    await within(reading, asker, "users.account.GetUserInfo", "tokens.read")
    user = await user_of(reading, asker)
    if user is None:
        raise NotFound("This token acts for no user.")
    return user_answer(user)


async def _sessions(reading: Reading, asker: Principal) -> list[Listed]:
    """The sessions of the caller's user that still open something, in the order of their numbers."""
    if asker.owner is None:
        return []
    wanted = Filter(owner_type=asker.owner.type, owner_id=asker.owner.id, stored_status=("active",), sessions=True)
    found, _ = await numbered_page(
        reading.pool, asker.account, wanted, sort="number", descending=False, offset=0, limit=_MOST
    )
    return found


async def _end(writing: Writing, asker: Principal, sessions: list[Listed]) -> None:
    commands = tuple(
        Revoke(account=asker.account, token_id=each.token.id, by=asker, reason="Signed out through the Virtuozzo API.")
        for each in sessions
    )
    if commands:
        await writing.execute(AllOrNothing(commands))
