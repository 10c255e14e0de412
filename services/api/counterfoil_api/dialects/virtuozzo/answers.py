"""The answers of the Virtuozzo API about tokens, sessions and users."""

from datetime import datetime

import msgspec
from msgspec import UNSET, UnsetType

from counterfoil.core.subjects.token.state import Token
from counterfoil.core.subjects.user import User
from counterfoil_api.dialects.virtuozzo.api import Answer
from counterfoil_api.dialects.virtuozzo.dates import date_of
from counterfoil_api.dialects.virtuozzo.methods import Item, items

TEMPLATE: str = "virtuozzo.template"
"""The metadata key that names the template of a token's methods."""


class ApiToken(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A token; only the answer that creates the key contains it."""

    id: int
    key: str | UnsetType = UNSET
    description: str
    api_list_items: tuple[Item, ...]
    expires_at: str | None
    last_used: str | None
    is_system: bool = False
    token_template: str | UnsetType = UNSET


class TokenAnswer(Answer, frozen=True, kw_only=True, rename="camel"):
    """One token."""

    token: ApiToken


class TokensAnswer(Answer, frozen=True, kw_only=True, rename="camel"):
    """Tokens without their keys."""

    api_tokens: list[ApiToken]


class UserAnswer(Answer, frozen=True, kw_only=True, rename="camel"):
    """A user; `status` 1 means that they may sign in. After a signin with the session."""

    session: str | UnsetType = UNSET
    uid: int | None
    email: str
    name: str
    status: int = 1
    auth_type: str = "PASSWORD"


class Session(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A session without its secret."""

    id: int
    created_on: str | None
    expires_at: str | None
    last_used: str | None
    current: bool


class SessionsAnswer(Answer, frozen=True, kw_only=True, rename="camel"):
    """Sessions of a user."""

    sessions: list[Session]


class PermissionsAnswer(Answer, frozen=True, kw_only=True, rename="camel"):
    """Methods that a token may have."""

    token_permissions: list[Item]


class Template(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A named set of methods."""

    id: int
    name: str
    api_list_items: tuple[Item, ...]


class TemplatesAnswer(Answer, frozen=True, kw_only=True, rename="camel"):
    """All templates."""

    templates: list[Template]


def api_token(token: Token, last_used_at: datetime | None = None, key: str | UnsetType = UNSET) -> ApiToken:
    """Return the document of a token."""
    return ApiToken(
        id=token.number,
        key=key,
        description=token.name or "",
        api_list_items=items(token.scopes),
        expires_at=date_of(token.expires_at),
        last_used=date_of(last_used_at),
        token_template=token.metadata.get(TEMPLATE, UNSET),
    )


def user_answer(user: User, session: str | UnsetType = UNSET) -> UserAnswer:
    """Return the document of a user; a user has no name besides the address."""
    email = user.name or ""
    return UserAnswer(session=session, uid=user.number, email=email, name=email)
