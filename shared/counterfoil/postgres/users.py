"""Users, as logging in needs them."""

from __future__ import annotations

import msgspec

from counterfoil.account import Policy
from counterfoil.user import User

from .connection import Pool
from .subject_row import listed, state_of
from .surroundings import policy_of


class KnownUser(msgspec.Struct, frozen=True):
    """A user, their account's policy, and the hash of their password: argon2id's own text."""

    user: User
    policy: Policy
    password_hash: str

    def __repr__(self) -> str:
        return f"KnownUser({self.user.id})"


async def user_by_email(pool: Pool, email: str) -> KnownUser | None:
    """Return the user with this e-mail address, whatever its case and their standing."""
    row = await pool.fetchrow(
        f"""
        select {listed("s")}, p.hash, a.details as account_details
          from subject s
          join password p on (p.account_id, p.user_id) = (s.account_id, s.subject_id)
          left join subject a on (a.account_id, a.subject_id) = (s.account_id, coalesce(s.account_id, s.account_id))
         where s.kind = 'user' and lower(s.name) = lower($1)""",
        email,
    )
    if row is None:
        return None
    user = state_of(row)
    return KnownUser(user, policy_of(row["account_details"]), row["hash"]) if isinstance(user, User) else None
