"""The calls about users, and those that need the caller's password."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from urllib.parse import quote

from counterfoil.client import spelling
from counterfoil.client.calls import Calls
from counterfoil.client.documents import Enrolled, Enrolment, Happening, LoggedIn, User, UserWithPassword
from counterfoil.client.spelling import Ref


class Users(Calls):
    """Create, read, change and remove users; without a password the API makes one up and shows it once."""

    async def create_user(
        self,
        email: str,
        *,
        role: str,
        scopes: Sequence[str] = (),
        password: str | None = None,
        idempotency_key: str | None = None,
    ) -> UserWithPassword:
        """Create a user: administrator, operator, auditor or member."""
        body = spelling.body(email=email, role=role, scopes=scopes, password=password)
        return await self.changed(UserWithPassword, "/v1/users", body, key=idempotency_key)

    async def user(self, ref: Ref = "self") -> User:
        """Return a user."""
        return await self.fetched(User, _path(ref))

    def users(
        self,
        *,
        email: str | None = None,
        role: str | None = None,
        status: str | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[User]:
        """Yield users, the oldest first; `email` is a glob, in which a backslash escapes."""
        return self.pages("/v1/users", spelling.query_of(email=email, role=role, status=status), User, limit=limit)

    def user_events(self, ref: Ref = "self", *, limit: int | None = None) -> AsyncIterator[Happening]:
        """Yield the events of a user, in order."""
        return self.pages(_path(ref, "events"), {}, Happening, limit=limit)

    async def update_user(
        self,
        ref: Ref,
        *,
        email: str | None = None,
        role: str | None = None,
        scopes: Sequence[str] | None = None,
        if_match: int | None = None,
    ) -> User:
        """Change a user's e-mail address, role or scopes; None keeps a field."""
        body = spelling.body(email=email, role=role, scopes=scopes)
        return await self.changed(User, _path(ref), body, method="PATCH", if_match=if_match)

    async def disable_user(self, ref: Ref, *, reason: str, if_match: int | None = None) -> User:
        """Disable a user: the API refuses them and their tokens until they are enabled."""
        body = spelling.body(reason=reason)
        return await self.changed(User, _path(ref, "disable"), body, if_match=if_match)

    async def enable_user(self, ref: Ref, *, if_match: int | None = None) -> User:
        """Enable a disabled user and their tokens."""
        return await self.changed(User, _path(ref, "enable"), spelling.body(), if_match=if_match)

    async def remove_user(
        self,
        ref: Ref,
        *,
        reason: str,
        with_children: bool = False,
        dry_run: bool = False,
        if_match: int | None = None,
    ) -> User:
        """Remove a user and revoke their tokens for good; with children also all tokens that they made.

        A removed user can be named again, to revoke what they made. The reply's `children` counts those tokens. A dry
        run changes nothing.
        """
        body = spelling.body(reason=reason, with_children=with_children or None, dry_run=dry_run or None)
        return await self.changed(User, _path(ref, "remove"), body, if_match=if_match)

    async def change_password(
        self,
        ref: Ref = "self",
        *,
        password: str | None = None,
        if_match: int | None = None,
        idempotency_key: str | None = None,
    ) -> UserWithPassword:
        """Change your own password (authenticated with the present one), or reset that of another user."""
        body = spelling.body(password=password)
        path = _path(ref, "password")
        return await self.changed(UserWithPassword, path, body, key=idempotency_key, if_match=if_match)

    async def begin_totp(self) -> Enrolment:
        """Return a new seed for one-time codes (authenticated with your password); it counts once it is confirmed."""
        return await self.changed(Enrolment, "/v1/users/self/totp", spelling.body())

    async def confirm_totp(self, code: str) -> Enrolled:
        """Confirm the new seed with one of its codes, and return the recovery codes, which are shown once."""
        return await self.changed(Enrolled, "/v1/users/self/totp/confirm", spelling.body(code=code))

    async def remove_totp(self, ref: Ref = "self", *, if_match: int | None = None) -> User:
        """Stop requiring one-time codes from a user."""
        return await self.changed(User, _path(ref, "totp/remove"), spelling.body(), if_match=if_match)

    async def log_in(
        self,
        *,
        name: str = "login",
        lifetime: str = "8h",
        scopes: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> LoggedIn:
        """Issue a token for yourself with your password; without `scopes` it has all that you have."""
        body = spelling.body(name=name, lifetime=lifetime, scopes=scopes)
        return await self.changed(LoggedIn, "/v1/login", body, key=idempotency_key)


def _path(ref: Ref, verb: str = "") -> str:
    text = str(ref)
    if not text.strip("."):  # it becomes part of a path
        raise ValueError(f"{text!r} does not name a user; give an id, a number, an e-mail address or the word self")
    return f"/v1/users/{quote(text, safe='@')}" + (f"/{verb}" if verb else "")
