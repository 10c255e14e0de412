"""A secret is shown again under an Idempotency-Key only to a caller who could be given it at this moment.

The key and the request are the same as then; the caller may not be: a bearer of the token that asked first ends
earlier than the token, and what was issued may have been revoked or widened since.
"""

from __future__ import annotations

from datetime import datetime

from counterfoil.core.principal import Actor, Principal, refuse_beyond, refuse_beyond_lifetime, refuse_passing
from counterfoil.core.refusals import SecretNoLongerAvailable, TokenSuspended
from counterfoil.core.subjects.subject import Command
from counterfoil.core.subjects.token.state import Context, Token, good_until, refusal_for, refuse_beyond_token
from counterfoil.core.subjects.user import User, owner_of


def refuse_token_replay(command: Command, token: Token, at: datetime, context: Context) -> None:
    """Raise a Refusal if the caller who repeats this command could not be shown the token's secret now."""
    denied = refusal_for(token, token.generation, at, context)
    # A suspended token may be given a new secret, and stays suspended; and a token may be created together with that.
    if denied and not isinstance(denied, TokenSuspended):
        raise SecretNoLongerAvailable(subject=str(token.id))
    refuse_beyond_token(command.by, token)
    if not _is_former_secret(command.by, token):
        refuse_beyond_lifetime(command.by, token.expires_at)


def _is_former_secret(by: Principal, token: Token) -> bool:
    """Say whether a token asks with the secret that it replaced, in its grace, and not with a bearer of it."""
    return (
        by.actor == Actor("token", token.id)
        and by.generation == token.generation - 1
        and by.expires_at == good_until(token, by.generation)
    )


def refuse_user_replay(by: Principal, user: User) -> None:
    """Raise a Refusal if the caller who repeats a command could not be shown the user's new password now."""
    if user.status == "removed":
        raise SecretNoLongerAvailable(subject=str(user.id))
    if by.actor.id != user.id:
        refuse_beyond(by, user.held, owner=owner_of(user.id))
        refuse_passing(by)
