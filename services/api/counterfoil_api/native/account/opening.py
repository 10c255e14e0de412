"""Opens further accounts, which are tenants of their own, and lists them."""

from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from msgspec import Meta
from msgspec.structs import replace
from uuid_utils.compat import uuid7

from counterfoil.core.emails import checked_email
from counterfoil.core.password import checked_password
from counterfoil.core.principal import SYSTEM, refuse_passing
from counterfoil.core.refusals import BadEmail, BadPassword, BeyondCaller
from counterfoil.core.subjects.account import CreateAccount
from counterfoil.core.subjects.user_commands import CreateUser
from counterfoil.core.unit_of_work import AllOrNothing
from counterfoil.documents.account import AccountDocument
from counterfoil.documents.fields import Given, Name, Page
from counterfoil.postgres.scope_catalogue import family
from counterfoil_api.auth.conventions import OURS
from counterfoil_api.auth.passwords import Passwords
from counterfoil_api.auth.principals import Caller
from counterfoil_api.handling.reading import PageQuery, Reading, own_account
from counterfoil_api.handling.writing import Writing
from counterfoil_api.native.account.accounts import account_after, account_document
from counterfoil_api.operations.api import Api
from counterfoil_api.operations.reading import Body, IdempotencyKey, Query
from counterfoil_api.operations.replies import Made

api = Api("accounts", OURS)

_QUESTION: Final = "accounts by creation"


class FirstAdministrator(Given, frozen=True, kw_only=True):
    """The first administrator of the new account, who should change the password at once."""

    email: Annotated[str, Meta(max_length=255)]
    password: Annotated[str, Meta(max_length=1_024)]


class NewAccount(Given, frozen=True, kw_only=True):
    """A new account with its first administrator."""

    name: Name
    administrator: FirstAdministrator


class AccountPage(Page[AccountDocument], frozen=True, kw_only=True):
    """Your account and those that it opened, the oldest first."""


_EXAMPLE = NewAccount(
    name="Payments",
    administrator=FirstAdministrator(email="ada@payments.example", password="four words and a 4th"),  # noqa: S106 - nobody's
)


@api.get("/v1/accounts", needs="accounts.read")
async def list_accounts(reading: Reading, caller: Caller, *, query: Query[PageQuery]) -> AccountPage:
    """List your account and those that it opened."""
    after = reading.after(caller, _QUESTION, query.cursor, tuple[datetime, UUID])
    found = await family(reading.pool, caller.account, after=after, limit=query.limit + 1)
    page, more = reading.page(
        caller, _QUESTION, found, limit=query.limit, place=lambda each: [each.created_at, each.id]
    )
    return AccountPage(items=[account_document(each) for each in page], next_cursor=more)


@api.post(
    "/v1/accounts",
    executes=(CreateAccount,),
    needs="accounts.create",
    refusals=(BadEmail, BadPassword),
    example=_EXAMPLE,
)
async def create_account(
    writing: Writing, passwords: Passwords, caller: Caller, *, body: Body[NewAccount], key: IdempotencyKey
) -> Made[AccountDocument]:
    """Open another account with its first administrator.

    It is a tenant of its own: none of your tokens and users has access to it. Its users log in as `ACCOUNT/ADDRESS`:
    its id, a slash and their e-mail address, which may belong to another user in another account. Only an account that
    was created on the server may open others, and the caller's credentials must not expire.
    """
    refuse_passing(caller)  # its administrator outlives expiring credentials, and logs in from any network
    if (await own_account(writing.reading, caller)).parent is not None:
        raise BeyondCaller(
            "Only an account that was created on the server (`counterfoil account create`) may open others."
        )
    account, user, first = uuid7(), uuid7(), body.administrator
    password = checked_password(first.password, checked_email(first.email))
    hashed = await passwords.hashed(password, caller.account)
    opened = CreateAccount(account=account, id=account, by=caller, name=body.name, parent=caller.account)
    administrator = CreateUser(
        account=account, id=user, by=replace(SYSTEM, account=account), number=1,
        email=first.email, role="administrator", password_hash=hashed,
    )  # fmt: skip
    # In one transaction, so that no account remains without an administrator.
    both = AllOrNothing((opened, administrator))
    made = await writing.reply(both, key, account_after, kind=AccountDocument, holds_secret=False)
    return Made(made, made.revision, "/v1/account")
