"""References to a user or a token of the account, as filters of reads and attempts."""

from typing import Annotated, Final
from uuid import UUID

from msgspec import Meta

from counterfoil.core.principal import Principal
from counterfoil.core.refusals import BadReference, NotFound, Refuses, UnknownUser
from counterfoil_api.handling.reading import Reading
from counterfoil_api.native.tokens.references import found
from counterfoil_api.native.users.references import named_user

ActorRef = Annotated[
    str,
    Meta(
        max_length=260,
        description="The id of a user or a token, a user's e-mail address, or `user:2` and `token:7` by number.",
        examples=["user:grace@example.org"],
    ),
    Refuses((UnknownUser,)),
]
_NOBODY: Final = "This account has no such user or token; name one by an id, or as user:2 or token:7."


async def named_actor(reading: Reading, caller: Principal, ref: str, *, field: str, **where: str) -> UUID:
    """Return the id of the named user or token. Raises UnknownUser if there is none, BadReference for no reference."""
    if ref.isdigit():
        raise UnknownUser(
            f"{ref[:20]} may be a user or a token; write user:{ref[:20]} or token:{ref[:20]}.", field=field, **where
        )
    kind, _, name = ref.partition(":")
    if kind == "token":
        found_id = await _token(reading, caller, name)
    elif kind == "user":
        found_id = await _user(reading, caller, name)
    else:
        found_id = await _user(reading, caller, ref) or (None if "@" in ref else await _token(reading, caller, ref))
    if found_id is None:
        raise UnknownUser(_NOBODY, field=field, **where)
    return found_id


async def _user(reading: Reading, caller: Principal, name: str) -> UUID | None:
    user = await named_user(reading, caller, name)
    return None if user is None else user.id


async def _token(reading: Reading, caller: Principal, name: str) -> UUID | None:
    try:
        return (await found(reading, caller, name)).token.id
    except (NotFound, BadReference):
        return None
