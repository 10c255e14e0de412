"""The calls about users, and those that take one's own password."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from urllib.parse import quote

from counterfoil.client import spelling
from counterfoil.client.calls import Calls
from counterfoil.client.documents import Enrolled, Enrolment, Happening, LoggedIn, User, UserWithPassword
from counterfoil.client.spelling import Ref
from counterfoil.client.wire import Call


class Users(Calls):
    """Add, look at, change and end users; without a password one is made up, and returned this once."""

    async def create_user(
        self,
        email: str,
        *,
        role: str,
        scopes: Sequence[str] = (),
        password: str | None = None,
        idempotency_key: str | None = None,
    ) -> UserWithPassword:
        """Add a user: administrator, operator, auditor or member."""
        body = spelling.body(email=email, role=role, scopes=scopes, password=password)
        return spelling.read(await self.change("/v1/users", body, key=idempotency_key), UserWithPassword)

    async def user(self, ref: Ref = "self") -> User:
        """Return a user."""
        return spelling.read(await self.wire.ask(Call("GET", _path(ref))), User)

    async def users(
        self,
        *,
        email: str | None = None,
        role: str | None = None,
        status: str | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[User]:
        """Yield users, the first that were added first; `email` is a glob, in which a backslash escapes."""
        given = {"email": email, "role": role, "status": status}
        query = {name: value for name, value in given.items() if value is not None}
        async for user in self.pages("/v1/users", query, User, limit=limit):
            yield user

    async def user_events(self, ref: Ref = "self", *, limit: int | None = None) -> AsyncIterator[Happening]:
        """Yield what happened to a user, in order."""
        async for happening in self.pages(_path(ref, "events"), {}, Happening, limit=limit):
            yield happening

    async def update_user(
        self,
        ref: Ref,
        *,
        email: str | None = None,
        role: str | None = None,
        scopes: Sequence[str] | None = None,
        if_match: int | None = None,
    ) -> User:
        """Change a user's e-mail address, role or scopes; what is None stays."""
        body = spelling.body(email=email, role=role, scopes=scopes)
        return spelling.read(await self.change(_path(ref), body, method="PATCH", if_match=if_match), User)

    async def disable_user(self, ref: Ref, *, reason: str, if_match: int | None = None) -> User:
        """Have a user and their tokens refused for now."""
        body = spelling.body(reason=reason)
        return spelling.read(await self.change(_path(ref, "disable"), body, if_match=if_match), User)

    async def enable_user(self, ref: Ref, *, if_match: int | None = None) -> User:
        """Have a user and their tokens accepted again."""
        return spelling.read(await self.change(_path(ref, "enable"), spelling.body(), if_match=if_match), User)

    async def remove_user(
        self,
        ref: Ref,
        *,
        reason: str,
        with_children: bool = False,
        dry_run: bool = False,
        if_match: int | None = None,
    ) -> User:
        """End a user and their tokens for ever, and with children all that they made, also if they left before.

        The reply's `children` say what they made. A dry run only looks.
        """
        body = spelling.body(reason=reason, with_children=with_children or None, dry_run=dry_run or None)
        return spelling.read(await self.change(_path(ref, "remove"), body, if_match=if_match), User)

    async def change_password(
        self,
        ref: Ref = "self",
        *,
        password: str | None = None,
        if_match: int | None = None,
        idempotency_key: str | None = None,
    ) -> UserWithPassword:
        """Change one's own password (asking with the present one), or reset that of somebody else."""
        body = spelling.body(password=password)
        answer = await self.change(_path(ref, "password"), body, key=idempotency_key, if_match=if_match)
        return spelling.read(answer, UserWithPassword)

    async def begin_totp(self) -> Enrolment:
        """Get a new seed for one-time codes, asking with one's password; nothing changes until it is confirmed."""
        return spelling.read(await self.change("/v1/users/self/totp", spelling.body()), Enrolment)

    async def confirm_totp(self, code: str) -> Enrolled:
        """Confirm the new seed with a code of it; get the recovery codes, this once."""
        return spelling.read(await self.change("/v1/users/self/totp/confirm", spelling.body(code=code)), Enrolled)

    async def remove_totp(self, ref: Ref = "self", *, if_match: int | None = None) -> User:
        """Ask a user for no one-time code any more."""
        return spelling.read(await self.change(_path(ref, "totp/remove"), spelling.body(), if_match=if_match), User)

    async def log_in(
        self,
        *,
        name: str = "login",
        lifetime: str = "8h",
        scopes: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> LoggedIn:
        """Get a token for oneself, asking with one's password; without `scopes` it may do all that one may."""
        body = spelling.body(name=name, lifetime=lifetime, scopes=scopes)
        return spelling.read(await self.change("/v1/login", body, key=idempotency_key), LoggedIn)


def _path(ref: Ref, verb: str = "") -> str:
    text = str(ref)
    if not text.strip("."):  # it becomes part of a path, and could lead elsewhere
        raise ValueError(f"{text!r} does not name a user; give an id, a number, an e-mail address or the word self")
    return f"/v1/users/{quote(text, safe='@')}" + (f"/{verb}" if verb else "")
