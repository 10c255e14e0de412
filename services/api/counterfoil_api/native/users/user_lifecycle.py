"""Disable, enable and remove users, and change their passwords and one-time codes."""

from msgspec.structs import replace

from counterfoil.core.refusals import BadPassword
from counterfoil.core.subjects.user import owner_of
from counterfoil.core.subjects.user_commands import ChangePassword, DisableUser, EnableUser, RemoveTotp, RemoveUser
from counterfoil.documents.token_changes import Ending, Resumption, Revocation
from counterfoil.documents.users import NewPassword, UserDocument, UserWithPassword
from counterfoil_api.auth.conventions import OURS
from counterfoil_api.auth.passwords import Passwords
from counterfoil_api.auth.principals import Caller
from counterfoil_api.handling.writing import Writing
from counterfoil_api.http.errors import PasswordNeeded
from counterfoil_api.native.tokens import children
from counterfoil_api.native.users.references import UserRef, oneself_or_permitted, permitted_user
from counterfoil_api.native.users.showing import user_document
from counterfoil_api.native.users.users import changed, chosen, with_password
from counterfoil_api.operations.api import Api
from counterfoil_api.operations.reading import Body, IdempotencyKey, IfMatch
from counterfoil_api.operations.refusals import SECRET_REPLY
from counterfoil_api.operations.replies import Tagged

api = Api("users", OURS)

_LEAVE = Revocation(reason="On leave until spring.")


@api.post("/v1/users/{user}/disable", executes=(DisableUser,), scope="users.disable", example=_LEAVE)
async def disable_user(
    writing: Writing, caller: Caller, *, user: UserRef, body: Body[Revocation], if_match: IfMatch, key: IdempotencyKey
) -> Tagged[UserDocument]:
    """Refuse a user and all tokens that they own, until they are enabled."""
    found = await permitted_user(writing.reading, caller, user, scope="users.disable")
    command = DisableUser(account=caller.account, id=found.id, by=caller, revisions=if_match, reason=body.reason)
    return await changed(writing, command, key)


@api.post("/v1/users/{user}/enable", executes=(EnableUser,), scope="users.disable")
async def enable_user(
    writing: Writing, caller: Caller, *, user: UserRef, _: Body[Resumption], if_match: IfMatch, key: IdempotencyKey
) -> Tagged[UserDocument]:
    """Accept a user and their tokens again, except tokens that were revoked."""
    found = await permitted_user(writing.reading, caller, user, scope="users.disable")
    command = EnableUser(account=caller.account, id=found.id, by=caller, revisions=if_match)
    return await changed(writing, command, key)


@api.post(
    "/v1/users/{user}/remove",
    executes=(RemoveUser,),
    instead_of=("DELETE /v1/users/{user}",),
    scope="users.remove",
    example=Ending(reason="Left the company."),
)
async def remove_user(
    writing: Writing, caller: Caller, *, user: UserRef, body: Body[Ending], if_match: IfMatch, key: IdempotencyKey
) -> Tagged[UserDocument]:
    """Refuse a user and all tokens that they own for ever; with `with_children` also all tokens that they created.

    Their e-mail address, password and one-time codes are erased; the address may be used again. A second removal
    changes nothing.

    Tokens that they created for others stay valid, and the reply counts them. With `with_children` (and the scope
    `tokens.revoke`) a bulk revocation ends these, the user's own tokens, and all that those created; also for a user
    who was removed earlier. With `dry_run` nothing changes, and the reply says what would.
    """
    found = await permitted_user(writing.reading, caller, user, scope="users.remove")
    command = RemoveUser(account=caller.account, id=found.id, by=caller, revisions=if_match, reason=body.reason)
    creator = children.Creator(found.id, f"user:{found.id}", owner_of(found.id))
    if body.with_children and not body.dry_run:
        both, made = await children.end_with_children(writing.reading, caller, creator, body, command)
        # A reply that is kept for retries names the accepted bulk revocation.
        return await changed(writing, both, key, made)
    if body.dry_run:
        document = user_document(found, await writing.reading.default_account.id())
    else:
        document = (await changed(writing, command, key)).body
    made = await children.preview(writing.reading, caller, creator, body)
    return Tagged(replace(document, children=made), document.revision)


@api.post(
    "/v1/users/{user}/password",
    executes=(ChangePassword,),
    scope="users.reset",
    refusals=(PasswordNeeded, BadPassword, *SECRET_REPLY),
    example=NewPassword(),
)
async def change_password(
    writing: Writing, passwords: Passwords, caller: Caller, *, user: UserRef, body: Body[NewPassword],
    if_match: IfMatch, key: IdempotencyKey,
) -> Tagged[UserWithPassword]:  # fmt: skip
    """Change your own password, or reset another user's.

    Your own needs no scope, but your current password in Basic authentication. Without a password in the request one is
    generated, and only this answer contains it. No token ends, not even those of logins: revoke them with
    `/v1/revocations`.
    """
    found = await oneself_or_permitted(writing.reading, caller, user, scope="users.reset")
    password = chosen(body.password, found.name or "")
    command = ChangePassword(
        account=caller.account, id=found.id, by=caller, revisions=if_match,
        password_hash=await passwords.hashed(password, caller.account),
    )  # fmt: skip
    reset = await with_password(writing, command, key, password if body.password is None else None)
    return Tagged(reset, reset.user.revision)


@api.post(
    "/v1/users/{user}/totp/remove",
    executes=(RemoveTotp,),
    instead_of=("DELETE /v1/users/self/totp",),
    scope="users.reset",
    refusals=(PasswordNeeded,),
)
async def remove_totp(
    writing: Writing, caller: Caller, *, user: UserRef, _: Body[Resumption], if_match: IfMatch, key: IdempotencyKey
) -> Tagged[UserDocument]:
    """Stop asking a user for one-time codes.

    Your own need no scope, but your password and a code. The recovery codes end, too.
    """
    found = await oneself_or_permitted(writing.reading, caller, user, scope="users.reset")
    command = RemoveTotp(account=caller.account, id=found.id, by=caller, revisions=if_match)
    return await changed(writing, command, key)
