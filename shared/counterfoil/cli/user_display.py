"""The output of users, and of passwords and codes that are shown once."""

from __future__ import annotations

from typing import Final

from counterfoil.cli.display import Facts, show_facts, time_of
from counterfoil.cli.errors import remark
from counterfoil.cli.output import say, say_json
from counterfoil.cli.tables import Columns
from counterfoil.client.documents import Enrolled, User, UserWithPassword

USERS: Final[Columns[User]] = {
    "no.": lambda user: str(user.number or ""),
    "id": lambda user: str(user.id),
    "e-mail": lambda user: user.email or "(forgotten)",
    "role": lambda user: user.role,
    "status": lambda user: user.status,
    "codes": lambda user: "yes" if user.totp else "no",
    "more scopes": lambda user: " ".join(user.scopes),
    "added": lambda user: time_of(user.created_at),
}


def user_facts(user: User) -> Facts:
    """Return what people see of a user."""
    left = f"{user.recovery_codes} recovery {'code' if user.recovery_codes == 1 else 'codes'}"
    return [
        ("number", str(user.number or "")), ("id", str(user.id)), ("e-mail", user.email or "(forgotten)"),
        ("logs in as", user.login or ""), ("role", user.role), ("scopes", " ".join(user.scopes)),
        ("status", user.status), ("one-time codes", f"asked for, {left} left" if user.totp else "not asked for"),
        ("added", time_of(user.created_at)), ("revision", str(user.revision)),
    ]  # fmt: skip


def show_with_password(made: UserWithPassword, *, as_json: bool) -> None:
    """Print a user and the made-up password, which is not shown again."""
    if as_json:
        say_json(made)
        return
    show_facts([("password", made.password or ""), *user_facts(made.user)])
    if made.password:
        remark("Hand the password over now: it is not shown again.")


def show_enrolled(enrolled: Enrolled, *, as_json: bool) -> None:
    """Print the recovery codes, which are not shown again."""
    if as_json:
        say_json(enrolled)
        return
    say("".join(f"{code}\n" for code in enrolled.recovery_codes))
    remark("From now on your password takes a code. Keep these recovery codes: each is good once, in place of one.")
