"""From a user's state to the document that callers read."""

from uuid import UUID

from counterfoil.core.subjects.user import User, login_of
from counterfoil.documents.users import UserDocument


def user_document(state: User, default_account: UUID) -> UserDocument:
    """Return the document of a user. Users of the default account log in with their e-mail address alone."""
    return UserDocument(
        id=state.id, number=state.number, account=state.account, email=state.name,
        login=None if state.name is None else login_of(state.name, state.account, default_account), role=state.role,
        scopes=state.scopes, status=state.status, totp=state.totp, recovery_codes=len(state.recovery_codes),
        created_at=state.created_at, updated_at=state.updated_at, revision=state.revision,
    )  # fmt: skip
