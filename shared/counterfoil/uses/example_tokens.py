"""One example of everything that vendors' clients expect, for the first account of an installation.

These are a user who is no administrator, with a token; an application and a zone; and Virtuozzo's templates. An
application or a zone exists once a token has belonged to it, so each gets one that is revoked in the same transaction.
"""

from __future__ import annotations

import secrets
from typing import Any, Final

from argon2 import PasswordHasher
from uuid_utils.compat import uuid7

from counterfoil.core.emails import checked_email
from counterfoil.core.principal import Owner, Principal
from counterfoil.core.secret import Peppers, Secret, mint
from counterfoil.core.subjects.scope_catalogue import DefineSet, named
from counterfoil.core.subjects.subject import Command
from counterfoil.core.subjects.token.commands import Create, Revoke
from counterfoil.core.subjects.token.state import FOUNDING
from counterfoil.core.subjects.user import held, owner_of
from counterfoil.core.subjects.user_commands import CreateUser
from counterfoil.uses.credentials_file import FIRST, WithExamples
from counterfoil.uses.issue import Wish, creation, issue

PASSWORD_BYTES: Final = 18
GIVEN: Final = ("losant.application.*", "virtuozzo.*")
"""Scopes that the member can give to tokens through vendors' APIs; they allow nothing in the ledger itself."""
TEMPLATES: Final[dict[str, tuple[str, ...]]] = {
    "Extended Access": ("virtuozzo.*",),
    "IDE Plugins": (
        "virtuozzo.users.account.getuserinfo", "virtuozzo.environment.control.getenvinfo",
        "virtuozzo.environment.control.getenvs", "virtuozzo.environment.control.startenv",
        "virtuozzo.environment.control.stopenv", "virtuozzo.environment.control.restartnodesbygroup",
        "virtuozzo.environment.deployment.deployarchive", "virtuozzo.environment.deployment.getarchives",
        "virtuozzo.environment.file.getlist", "virtuozzo.environment.file.read", "virtuozzo.storage.uploader.upload",
    ),
    "Marketplace": (
        "virtuozzo.environment.control.getenvinfo", "virtuozzo.environment.control.getenvs",
        "virtuozzo.environment.control.getregions", "virtuozzo.marketplace.app.getaddonlist",
        "virtuozzo.marketplace.app.getlist", "virtuozzo.marketplace.app.install",
        "virtuozzo.marketplace.app.installaddon", "virtuozzo.marketplace.jps.install",
        "virtuozzo.marketplace.jps.uninstall",
    ),
    "Maven Plugin": (
        "virtuozzo.users.account.getuserinfo", "virtuozzo.environment.control.getenvs",
        "virtuozzo.environment.deployment.deployarchive", "virtuozzo.storage.uploader.upload",
    ),
}  # fmt: skip
"""The sets of methods that Virtuozzo's dashboard offers, as scope sets."""
_SENTENCES: Final = {
    "Extended Access": "All methods of the Virtuozzo API.",
    "IDE Plugins": "What an editor needs to deploy to environments, and to start and stop them.",
    "Marketplace": "What it takes to install applications from the marketplace.",
    "Maven Plugin": "What a build needs to deploy its archive.",
}


def minted(admin_email: str) -> dict[str, Any]:
    """Return what the file of credentials holds in addition to the administrator."""
    return {
        "member_email": _member_email(admin_email),
        "member_password": secrets.token_urlsafe(PASSWORD_BYTES),
        "member_token": mint("user").plain,
        "member_user_id": uuid7(),
        "member_token_id": uuid7(),
        "member_user_number": FIRST + 1,
        "application_id": secrets.token_hex(12),
        "zone_id": secrets.token_hex(16),
    }


def _member_email(admin_email: str) -> str:
    local, _, domain = admin_email.rpartition("@")
    return checked_email(f"{'second-' if local.casefold() == 'member' else ''}member@{domain}")


def commands(charter: WithExamples, founder: Principal, peppers: Peppers) -> tuple[Command, ...]:
    """Return the commands that create it, to be executed after the account's own."""
    application, zone = Owner("application", charter.application_id), Owner("service", charter.zone_id)
    return (
        *_member(charter, founder, peppers),
        *_owner_of_one_token(founder, peppers, application, name="first application", number=3),
        *_owner_of_one_token(founder, peppers, zone, name="first zone", number=4),
        *(_template(founder, name) for name in TEMPLATES),
    )


def _member(charter: WithExamples, founder: Principal, peppers: Peppers) -> tuple[CreateUser, Create]:
    user = CreateUser(
        account=charter.account, id=charter.member_user_id, by=founder, email=charter.member_email,
        number=charter.member_user_number, role="member", scopes=GIVEN,
        password_hash=PasswordHasher().hash(charter.member_password),
    )  # fmt: skip
    wish = Wish(
        name="member", owner=owner_of(charter.member_user_id), scopes=held("member", GIVEN),
        lifetime=charter.admin_token_lifetime, dialect=FOUNDING,
    )  # fmt: skip
    token = creation(
        wish, founder, peppers, token_id=charter.member_token_id, secret=Secret(charter.member_token), number=2
    )
    return user, token


def _owner_of_one_token(
    founder: Principal, peppers: Peppers, owner: Owner, *, name: str, number: int
) -> tuple[Create, Revoke]:
    wish = Wish(
        name=name, owner=owner, lifetime="1d",
        description="Makes its owner known. It was revoked when it was created, and its secret was shown to nobody.",
    )  # fmt: skip
    made, _ = issue(wish, founder, peppers, number=number)
    reason = "It only makes its owner known."
    return made, Revoke(account=founder.account, id=made.id, by=founder, reason=reason)


def _template(founder: Principal, name: str) -> DefineSet:
    return DefineSet(
        account=founder.account, id=named(founder.account, "scope_set", name), by=founder, name=name,
        sentence=_SENTENCES[name], scopes=TEMPLATES[name],
    )  # fmt: skip
