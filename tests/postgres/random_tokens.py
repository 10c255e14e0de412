"""Random tokens, and plain Python that filters and sorts them."""

import random
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, get_args
from uuid import UUID

from uuid_utils.compat import uuid7

from counterfoil.core.duration import length
from counterfoil.core.moments import Moment
from counterfoil.core.principal import Actor, Owner
from counterfoil.core.subjects.token.acceptance import Status, status_at
from counterfoil.core.subjects.token.state import Token
from counterfoil.core.trust import Trust
from counterfoil.postgres.listing import Filter

NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)
ACCOUNT, OTHER = uuid7(), uuid7()
CHANCE = random.Random(7)
CREATORS = [Actor("user", ACCOUNT), Actor("user", uuid7()), Actor("token", uuid7())]
NAMES = ["nightly", "nightly build", "100%", "1000", "a_b", "axb", "a\\b", "a*b", "a?b", "Ärger", "ärger", "zz", "🚀",
         "İ", "nightly'; --", "NIGHTLY", " lead", None]  # fmt: skip
SCOPES = ["mail.send", "mail.*", "mail", "all", 'a"b', "a.b"]
METADATA = [{}, {"env": "prod"}, {"env": "prod", "team": "a"}, {"env": "test"}, {"e\\": '"'}]
ISSUERS = ["https://id.example", 'https://id.example/"', None]
MOMENTS = [NOW + hours * HOUR for hours in (-900, -50, -3, -1, 1, 2, 60, 900)]
LATEST, EARLIEST = datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)


def random_token(account: UUID, number: int) -> Token:
    """A token as it may be stored, with times that often coincide."""
    born, issuer = CHANCE.choice(MOMENTS[:4]), CHANCE.choice(ISSUERS)
    trust = None if issuer is None else Trust(issuer=issuer, audience="us", claims={"sub": ("a",)})
    return Token(
        account=account, id=uuid7(), number=number, creator=CREATORS[number % 3], name=CHANCE.choice(NAMES),
        description="", metadata=CHANCE.choice(METADATA),
        owner=Owner(CHANCE.choice(["user", "service"]), CHANCE.choice("abc")),
        scopes=tuple(CHANCE.sample(SCOPES, CHANCE.randrange(4))),
        status=CHANCE.choice(["active", "suspended", "revoked"]),
        lifetime=None, expires_at=CHANCE.choice([None, *MOMENTS]), lifetime_start=born, thresholds=(), announced=None,
        next_due_at=None, created_at=born, updated_at=CHANCE.choice(MOMENTS[:4]),
        last_exchanged_at=CHANCE.choice([None, *MOMENTS[:4]]), generation=2, epoch=0,
        previous_until=None, previous_epoch=0, hint="cfl_user_ab",
        dialect=CHANCE.choice(["native", "vendor", "vendor.session"]), cloned_from=None, reason=None,
        revision=1, version=1, at=born, trust=trust, trust_by=None if trust is None else CREATORS[0],
    )  # fmt: skip


TOKENS = {
    account: [random_token(account, n) for n in CHANCE.sample(range(1, 9_999), 300)] for account in (ACCOUNT, OTHER)
}
USES = {token.id: CHANCE.choice([None, *MOMENTS[:4]]) for token in TOKENS[ACCOUNT]}


def used(token: Token) -> datetime | None:
    return max((at for at in (token.last_exchanged_at, USES[token.id]) if at), default=None)


KEYS: dict[str, Callable[[Token], Any]] = {
    "created": lambda token: (token.created_at, token.id),
    "name": lambda token: (token.name or "", token.id),
    "expires": lambda token: (token.expires_at or LATEST, token.id),
    "updated": lambda token: (token.updated_at, token.id),
    "last_used": lambda token: (used(token) or EARLIEST, token.id),
    "number": lambda token: token.number,
    "status": lambda token: (token.status, token.id),
}


def fits(token: Token, wanted: Filter) -> bool:
    return all(
        [
            wanted.name is None or matches(token.name, wanted.name),
            wanted.status is None or status_at(token, NOW) == wanted.status,
            wanted.stored_status is None or token.status in wanted.stored_status,
            wanted.sessions in (None, token.dialect == "vendor.session"),
            wanted.search is None or (token.name is not None and wanted.search.lower() in token.name.lower()),
            wanted.numbers is None or token.number in wanted.numbers,
            wanted.owner_type in (None, token.owner.type),
            wanted.owner_id in (None, token.owner.id),
            wanted.creator in (None, token.creator.id),
            wanted.issuer is None or (token.trust is not None and token.trust.issuer == wanted.issuer),
            wanted.scope is None or wanted.scope in token.scopes,
            wanted.metadata is None or wanted.metadata.items() <= token.metadata.items(),
            within(token.created_at, past(wanted.created_after), past(wanted.created_before)),
            within(token.expires_at, coming(wanted.expires_after), coming(wanted.expires_before)),
            within(used(token), past(wanted.last_used_after), past(wanted.last_used_before)),
            wanted.unused_since is None or (used(token) or token.created_at) < (past(wanted.unused_since) or NOW),
        ]
    )


def matches(name: str | None, glob: str) -> bool:
    pattern = "".join(
        {"*": ".*", "?": "."}.get(part, re.escape(part[-1])) for part in re.findall(r"\\.|[^\\]", glob, re.DOTALL)
    )
    return name is not None and re.fullmatch(pattern, name, re.DOTALL) is not None


def past(moment: Moment | None) -> datetime | None:
    return NOW - length(moment) if isinstance(moment, str) else moment


def coming(moment: Moment | None) -> datetime | None:
    return NOW + length(moment) if isinstance(moment, str) else moment


def within(at: datetime | None, after: datetime | None, before: datetime | None) -> bool:
    if at is None:
        return after is None and before is None
    return (after is None or after <= at) and (before is None or at < before)


AWAY = ["150m", "2d"]
"""Durations which are far from all moments: the database reads its own clock."""
GLOBS = ["*", "", "night*", "*build", "n*y", "?00%", "100?", "a_b", "a?b", r"a\\b", r"a\*b", r"a\?b", r"\\*", "%", "_*",
         "*'*", "?", "??"]  # fmt: skip
CHOICES: dict[str, Sequence[Any]] = {
    "name": [*GLOBS, *(name.replace("\\", "\\\\") for name in NAMES if name)],
    "status": get_args(Status),
    "stored_status": [("active", "suspended"), ("revoked",), ()],
    "sessions": [True, False],
    "search": ["NIGHT", "ly b", "100%", "_", "\\", "'", "", "zzz"],
    "numbers": [(), (1, 2, 3), tuple(range(1, 5_000))],
    "owner_type": ["user", "service", "application"],
    "owner_id": ["a", "b", "zebra"],
    "creator": [*(creator.id for creator in CREATORS), OTHER],
    "issuer": [*ISSUERS[:2], "https://id.exampl"],
    "scope": [*SCOPES, "mail.s", 'a"', ""],
    "metadata": [{}, *METADATA[1:], {"team": "a"}, {"env": ""}, {"nobody": "has it"}],
    "unused_since": [*MOMENTS, *AWAY],
    **{
        f"{what}_{side}": [*MOMENTS, *AWAY]
        for what in ("created", "expires", "last_used")
        for side in ("after", "before")
    },
}
