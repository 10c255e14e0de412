"""Users: add, list, read and change them, and list their events."""

import secrets
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from msgspec import UNSET, UnsetType
from msgspec.structs import replace
from uuid_utils.compat import uuid7

from counterfoil.core.emails import checked_email
from counterfoil.core.password import checked_password
from counterfoil.core.refusals import BadPassword, BadText
from counterfoil.core.subjects.subject import Command
from counterfoil.core.subjects.user import User, owner_of
from counterfoil.core.subjects.user_commands import CreateUser, UpdateUser
from counterfoil.core.subjects.user_events import Role
from counterfoil.core.unit_of_work import AllOrNothing, Outcome
from counterfoil.documents.events import EventPage
from counterfoil.documents.fields import Glob
from counterfoil.documents.tokens import ChildrenDocument
from counterfoil.documents.users import NewUser, UserChanges, UserDocument, UserPage, UserWithPassword
from counterfoil.postgres.timeline import events_of
from counterfoil.postgres.users import UserFilter, users_of
from counterfoil_api.auth.conventions import OURS
from counterfoil_api.auth.passwords import Passwords
from counterfoil_api.auth.principals import Caller
from counterfoil_api.handling.actors import names
from counterfoil_api.handling.described import refuse_undescribed
from counterfoil_api.handling.reading import PageQuery, Reading
from counterfoil_api.handling.writing import Writing
from counterfoil_api.native.tokens.showing import event_document
from counterfoil_api.native.users.references import UserRef, permitted_user
from counterfoil_api.native.users.showing import user_document
from counterfoil_api.operations.api import Api
from counterfoil_api.operations.reading import Body, IdempotencyKey, IfMatch, Query
from counterfoil_api.operations.refusals import SECRET_REPLY
from counterfoil_api.operations.replies import Made, Tagged
from counterfoil_api.operations.retries import Retry

api = Api("users", OURS)

_PASSWORD_BYTES: Final = 18


class UserQuery(PageQuery, frozen=True, kw_only=True):
    """A page of users, the oldest first."""

    email: Glob | None = None
    role: Role | None = None
    status: Literal["active", "disabled", "removed"] | None = None


@api.post(
    "/v1/users",
    executes=(CreateUser,),
    needs="users.create",
    refusals=(BadPassword, *SECRET_REPLY),
    example=NewUser(email="ada@example.org", role="operator"),
)
async def create_user(
    writing: Writing, passwords: Passwords, caller: Caller, *, body: Body[NewUser], key: IdempotencyKey
) -> Made[UserWithPassword]:
    """Add a user.

    The new user has at most the caller's scopes, and the caller's credentials must not expire. Without a password one
    is generated, and only this answer contains it. An e-mail address is unique in the account; `login` is the name for
    logging in.
    """
    password = chosen(body.password, checked_email(body.email))
    await refuse_undescribed(writing.reading, caller, body.scopes)
    command = CreateUser(
        account=caller.account, id=uuid7(), by=caller, email=body.email,
        role=body.role, scopes=body.scopes, password_hash=await passwords.hashed(password, caller.account),
    )  # fmt: skip
    made = await with_password(writing, command, key, password if body.password is None else None)
    return Made(made, made.user.revision, f"/v1/users/{made.user.id}")


@api.get("/v1/users", needs="users.read", refusals=(BadText,))
async def list_users(reading: Reading, caller: Caller, *, query: Query[UserQuery]) -> UserPage:
    """List the users of the account."""
    wanted = UserFilter(role=query.role, status=query.status, email=query.email)
    question: list[Any] = ["users by creation", wanted]
    after = reading.after(caller, question, query.cursor, tuple[datetime, UUID])
    found = await users_of(reading.pool, caller.account, wanted, after=after, limit=query.limit + 1)
    page, more = reading.page(caller, question, found, limit=query.limit, place=lambda each: [each.created_at, each.id])
    default = await reading.default_account.id()
    return UserPage(items=[user_document(user, default) for user in page], next_cursor=more)


@api.get("/v1/users/{user}", scope="users.read")
async def get_user(reading: Reading, caller: Caller, *, user: UserRef) -> Tagged[UserDocument]:
    """Read a user; yourself without any scope."""
    found = await permitted_user(reading, caller, user, scope="users.read")
    return Tagged(user_document(found, await reading.default_account.id()), found.revision)


@api.patch("/v1/users/{user}", executes=(UpdateUser,), scope="users.update", example=UserChanges(role="auditor"))
async def update_user(
    writing: Writing, caller: Caller, *, user: UserRef, body: Body[UserChanges], if_match: IfMatch, key: IdempotencyKey
) -> Tagged[UserDocument]:
    """Change a user's e-mail address, role or scopes.

    Scopes are replaced as a whole. The user must hold no more than the caller, before and after. From this answer on
    the user's tokens and their bearer tokens may do no more than the user.
    """
    found = await permitted_user(writing.reading, caller, user, scope="users.update")
    if body.scopes is not UNSET:
        await refuse_undescribed(writing.reading, caller, body.scopes)
    command = UpdateUser(
        account=caller.account, id=found.id, by=caller, revisions=if_match, email=body.email, role=body.role,
        scopes=body.scopes,
    )  # fmt: skip
    return await changed(writing, command, key)


@api.get("/v1/users/{user}/events", scope="users.read")
async def list_user_events(reading: Reading, caller: Caller, *, user: UserRef, query: Query[PageQuery]) -> EventPage:
    """List the events of a user."""
    found = await permitted_user(reading, caller, user, scope="users.read")
    question: list[Any] = ["user events", found.id]
    after = reading.after(caller, question, query.cursor, tuple[int]) or (0,)
    facts = await events_of(
        reading.pool, caller.account, found.id, after=after[0], limit=query.limit + 1, kind="user"
    )  # fmt: skip
    page, more = reading.page(caller, question, facts, limit=query.limit, place=lambda each: [each.version])
    if caller.owner != owner_of(found.id):  # reads of another user's events are logged
        await reading.access_log.record(caller, "events", rows=len(page))
    known = await names(reading, caller, (fact.by.id for fact in page))
    return EventPage(items=[event_document(fact, known) for fact in page], next_cursor=more)


def chosen(given: str | None, email: str) -> str:
    """Return the requested password, or a generated one. Raises for a weak one."""
    return secrets.token_urlsafe(_PASSWORD_BYTES) if given is None else checked_password(given, email)


async def with_password(
    writing: Writing, command: Command, key: Retry | None, generated: str | None
) -> UserWithPassword:
    """Execute a command and return the user, with the password if it was generated."""
    default = await writing.reading.default_account.id()

    def render(outcome: Outcome) -> UserWithPassword:
        return UserWithPassword(user=user_document(outcome.of(User), default), password=generated)

    return await writing.reply(command, key, render, kind=UserWithPassword, holds_secret=generated is not None)


async def changed(
    writing: Writing, command: Command | AllOrNothing, key: Retry | None,
    children: ChildrenDocument | UnsetType = UNSET,
) -> Tagged[UserDocument]:  # fmt: skip
    """Execute a command and return the user with their revision, and the tokens that they created."""
    default = await writing.reading.default_account.id()

    def render(outcome: Outcome) -> UserDocument:
        return replace(user_document(outcome.of(User), default), children=children)

    document = await writing.reply(command, key, render, kind=UserDocument, holds_secret=False)
    return Tagged(document, document.revision)
