"""The output of users, and of passwords and codes that are shown once."""

from __future__ import annotations

from collections.abc import Sequence

from counterfoil.cli.display import facts, time_of
from counterfoil.cli.errors import remark
from counterfoil.cli.output import say, say_json
from counterfoil.cli.tables import table
from counterfoil.client import Enrolled, User, UserWithPassword


def show_user(user: User, *, as_json: bool) -> None:
    """Print a user."""
    if as_json:
        say_json(user)
    else:
        facts(_told(user))


def show_with_password(made: UserWithPassword, *, as_json: bool) -> None:
    """Print a user and the made-up password, which is not shown again."""
    if as_json:
        say_json(made)
        return
    if made.password is not None:
        facts([("password", made.password.plain)])
    facts(_told(made.user))
    if made.password is not None:
        remark("Hand the password over now: it is not shown again.")


def show_enrolled(enrolled: Enrolled, *, as_json: bool) -> None:
    """Print the recovery codes, which are not shown again."""
    if as_json:
        say_json(enrolled)
        return
    say("".join(f"{code.plain}\n" for code in enrolled.recovery_codes))
    remark("From now on your password takes a code. Keep these recovery codes: each is good once, in place of one.")


def show_users(users: Sequence[User]) -> None:
    """Print users as a table."""
    table(
        ("no.", "id", "e-mail", "role", "status", "codes", "more scopes", "added"),
        (
            (str(u.number or ""), str(u.id), u.email or "(forgotten)", u.role, u.status, "yes" if u.totp else "no",
             " ".join(u.scopes), time_of(u.created_at))
            for u in users
        ),
    )  # fmt: skip


def _told(user: User) -> list[tuple[str, str]]:
    codes = f"asked for, {len_of(user)} left" if user.totp else "not asked for"
    lines = [
        ("number", str(user.number or "")), ("id", str(user.id)), ("e-mail", user.email or "(forgotten)"),
        ("logs in as", user.login or ""), ("role", user.role), ("scopes", " ".join(user.scopes)),
        ("status", user.status), ("one-time codes", codes), ("added", time_of(user.created_at)),
        ("revision", str(user.revision)),
    ]  # fmt: skip
    return [(name, value) for name, value in lines if value]


def len_of(user: User) -> str:
    """Say how many recovery codes are left."""
    return f"{user.recovery_codes} recovery {'code' if user.recovery_codes == 1 else 'codes'}"
