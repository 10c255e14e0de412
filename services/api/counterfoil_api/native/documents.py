"""What travels: the bodies that callers send, and the documents that they get."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from counterfoil.core import glob, moments, text, trust
from counterfoil.core.cursor import BadCursor
from counterfoil.core.refusals import (
    BadDuration,
    BadMetadata,
    BadNetwork,
    BadOwner,
    BadRateLimit,
    BadScope,
    BadText,
    BadTrust,
    Refuses,
    UnknownUser,
)
from counterfoil.core.subjects.token.state import Status

# The ledger itself checks these, and says better what is wrong; here they are only described.
_DURATION = r"^(forever|([0-9]*\.?[0-9]+(ns|us|µs|μs|ms|s|m|h|d|w))+)$"
SCOPE = r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*(\.\*)?$"

Moment = Annotated[
    datetime, Meta(tz=True, description="RFC 3339; or a date, which stands for the start of that day in UTC.")
]
_LENGTH = {"pattern": _DURATION.replace("forever|", ""), "maxLength": 64}
Span = Annotated[str, Meta(examples=["7d"], extra_json_schema=_LENGTH)]
_WHEN = {
    "anyOf": [{"format": "date-time"}, {"format": "date"}, {"pattern": _DURATION.replace("forever|", "")}],
    "maxLength": 64,
}
Ahead = Annotated[str, Meta(description=f"{moments.MEANING} 7d is seven days from now.", extra_json_schema=_WHEN)]
Ago = Annotated[str, Meta(description=f"{moments.MEANING} 7d is seven days ago.", extra_json_schema=_WHEN)]
Limit = Annotated[int, Meta(ge=1, le=200)]
Glob = Annotated[
    str, Meta(max_length=255, description=glob.MEANING, extra_json_schema={"pattern": glob.PATTERN}, examples=["ci-*"])
]
Cursor = Annotated[str, Meta(max_length=2_048, description="`next_cursor` of the page before."), Refuses((BadCursor,))]
Audience = Annotated[str, Meta(pattern="^[!-~]{1,255}$", description="Visible ASCII, such as a URL.")]
Reason = Annotated[str, Meta(max_length=1_000, extra_json_schema={"pattern": text.PATTERN}), Refuses((BadText,))]
Why = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=1_000,
        description="Why, for those who will ask.",
        extra_json_schema={"pattern": text.NAME_PATTERN},
    ),
    Refuses((BadText,)),
]
Name = Annotated[
    str,
    Meta(
        description="What people will know it by.",
        extra_json_schema={"pattern": text.NAME_PATTERN, "minLength": 1, "maxLength": 255},
    ),
    Refuses((BadText,)),
]
Description = Annotated[
    str, Meta(extra_json_schema={"pattern": text.PATTERN, "maxLength": 32_767}), Refuses((BadText,))
]
Scope = Annotated[str, Meta(extra_json_schema={"pattern": SCOPE, "maxLength": 128}), Refuses((BadScope,))]
Scopes = tuple[Scope, ...]
Metadata = Annotated[
    dict[str, str],
    Meta(extra_json_schema={"maxProperties": 64, "propertyNames": {"pattern": "^[A-Za-z0-9_.:/-]{1,64}$"}}),
    Refuses((BadMetadata,)),
]
Lifetime = Annotated[
    str,
    Meta(
        description="Such as 90d, 2h45m or 300ms; or forever.",
        examples=["90d"],
        extra_json_schema={"pattern": _DURATION, "maxLength": 64},
    ),
    Refuses((BadDuration,)),
]


Networks = Annotated[
    tuple[Annotated[str, Meta(max_length=64, examples=["192.0.2.0/24"])], ...],
    Meta(max_length=100, description="From where it may be used: networks in CIDR form; none is anywhere."),
    Refuses((BadNetwork,)),
]
RateLimit = Annotated[
    str,
    Meta(
        description="Calls in a time; null is any number.",
        examples=["600/1m"],
        extra_json_schema={"pattern": "^[1-9][0-9]{0,8}/" + _DURATION.replace("forever|", "")[1:], "maxLength": 74},
    ),
    Refuses((BadRateLimit,)),
]


MaxUses = Annotated[
    int,
    Meta(ge=1, le=1_000_000_000, description="Uses in all, counted from when this is set; null is any number."),
]
TrustedValue = Annotated[
    str, Meta(description=glob.MEANING, extra_json_schema={"pattern": glob.PATTERN, "minLength": 1, "maxLength": 255})
]


class Given(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A body that callers send; a field that we do not know is refused, never just lost."""


class OwnerGiven(Given, frozen=True, kw_only=True):
    """On whose behalf the token will act: a user of the account, or what you call an application or a service."""

    type: Literal["user", "application", "service"]
    id: Annotated[
        str,
        Meta(
            description="A user's id, number, e-mail address or `self`; else 1 to 128 of A-Z a-z 0-9 . _ : -",
            extra_json_schema={"pattern": r"^([A-Za-z0-9._:-]{1,128}|[^@\s:]+@[^@\s:]+)$", "maxLength": 255},
        ),
        Refuses((BadOwner, UnknownUser)),
    ]


class TrustGiven(Given, frozen=True, kw_only=True):
    """In place of a secret: whose JWTs open the token, for which audience, and what their claims must say."""

    issuer: Annotated[
        str,
        Meta(
            description="What the JWT has as `iss`; its keys are found by OpenID Connect Discovery.",
            examples=["https://token.actions.githubusercontent.com"],
            extra_json_schema={"pattern": trust.ISSUER, "maxLength": 255},
        ),
        Refuses((BadTrust,)),
    ]
    audience: Annotated[
        str,
        Meta(description="What the JWT has in `aud`.", extra_json_schema={"pattern": trust.VISIBLE, "maxLength": 255}),
    ]
    claims: Annotated[
        dict[str, TrustedValue | tuple[TrustedValue, ...]],
        Meta(
            description="For each claim the values of which one has to fit. Nested claims are named with dots.",
            examples=[{"repository": ["acme/app"], "ref": ["refs/heads/main"]}],
            extra_json_schema={
                "minProperties": 1, "maxProperties": trust.CONDITION_LIMIT, "propertyNames": {"pattern": trust.VISIBLE},
            },
        ),
    ]  # fmt: skip
    once: Annotated[bool, Meta(description="Whether each JWT, known by its `jti`, is accepted once.")] = False

    @property
    def trust(self) -> trust.Trust:
        """What the ledger keeps."""
        claims = {name: (said,) if isinstance(said, str) else said for name, said in self.claims.items()}
        return trust.Trust(issuer=self.issuer, audience=self.audience, claims=claims, once=self.once)


class NewToken(Given, frozen=True, kw_only=True):
    """A token to be issued. Without scopes it may do nothing; without a lifetime it never expires."""

    name: Name
    owner: OwnerGiven | None = None
    description: Description = ""
    scopes: Scopes = ()
    scope_sets: Annotated[tuple[str, ...], Meta(max_length=100)] = ()
    metadata: Metadata = {}
    networks: Networks = ()
    rate_limit: RateLimit | None = None
    max_uses: MaxUses | None = None
    trust: TrustGiven | None = None
    lifetime: Lifetime | None = None
    expires_at: Moment | None = None


class TokenChanges(Given, frozen=True, kw_only=True):
    """What to change; a field that is not there stays as it is."""

    name: Name | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    scopes: Scopes | UnsetType = UNSET
    metadata: Metadata | UnsetType = UNSET
    networks: Networks | UnsetType = UNSET
    rate_limit: RateLimit | UnsetType | None = UNSET
    max_uses: MaxUses | UnsetType | None = UNSET
    trust: TrustGiven | UnsetType = UNSET


class Renewal(Given, frozen=True, kw_only=True):
    """A new lifetime from now on; with neither field the token's own lifetime again."""

    lifetime: Lifetime | None = None
    expires_at: Moment | None = None


class Rotation(Given, frozen=True, kw_only=True):
    """How long the previous secret stays good; a lifetime only for a token that has expired."""

    grace: Annotated[
        str,
        Meta(
            description="How long the previous secret stays good, such as 24h; 0s ends it at once.",
            examples=["24h"],
            extra_json_schema={"pattern": _DURATION.replace("forever|", ""), "maxLength": 64},
        ),
    ]
    ends_previous: Annotated[
        bool,
        Meta(
            description="Whether a secret that is still good from an earlier grace ends now: at most two are good at"
            " once. With a grace of 0s it ends in any case."
        ),
    ] = False
    lifetime: Lifetime | None = None
    expires_at: Moment | None = None


class Suspension(Given, frozen=True, kw_only=True):
    """Why, if there is something to say."""

    reason: Reason = ""


class Resumption(Given, frozen=True, kw_only=True):
    """Nothing needs to be said."""


class Revocation(Given, frozen=True, kw_only=True):
    """Why, for those who will ask."""

    reason: Why


class Ending(Revocation, frozen=True, kw_only=True):
    """Why, and whether what it made ends with it; in a dry run nothing is changed."""

    with_children: Annotated[
        bool, Meta(description="Also revoke what it made, what that made, and so on, whenever it was made.")
    ] = False
    dry_run: Annotated[bool, Meta(description="Only show what would end; nothing is changed.")] = False


class Copy(Given, frozen=True, kw_only=True):
    """What is to be different in the copy; everything else is as in the original, but for the secret."""

    name: Name | UnsetType = UNSET
    owner: OwnerGiven | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    scopes: Scopes | UnsetType = UNSET
    metadata: Metadata | UnsetType = UNSET
    networks: Networks | UnsetType = UNSET
    rate_limit: RateLimit | UnsetType | None = UNSET
    max_uses: MaxUses | UnsetType | None = UNSET
    lifetime: Lifetime | None = None
    expires_at: Moment | None = None


class ExchangeRequest(Given, frozen=True, kw_only=True):
    """For whom the bearer is, and what it may do: without `scopes` all that the token may."""

    audience: Audience | Annotated[tuple[Audience, ...], Meta(max_length=20)] = ()
    scopes: Scopes | UnsetType = UNSET
    lifetime: Annotated[
        str | None,
        Meta(
            description="How long the bearer lives at most, such as 5m; what is longer than allowed is cut.",
            extra_json_schema={"pattern": _DURATION.replace("forever|", ""), "maxLength": 64},
        ),
    ] = None


class BearerDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A bearer, as RFC 6749 5.1 shows it."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - the name of a type
    expires_in: int
    scope: str
    jti: UUID


class TrustDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What opens a token that has no secret."""

    issuer: str
    audience: str
    claims: dict[str, tuple[str, ...]]
    once: bool


class OwnerDocument(msgspec.Struct, frozen=True):
    """On whose behalf a token acts."""

    type: str
    id: str


class ActorDocument(msgspec.Struct, frozen=True, kw_only=True):
    """Who did it, and what they are called now: a token's number and name, a user's number and e-mail address.

    `number` and `name` are null for who is gone, was erased, or may not be seen by who asks. The answer to a change
    does not have them.
    """

    kind: str
    id: UUID
    number: int | UnsetType | None = UNSET
    name: str | UnsetType | None = UNSET


class EventDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened: what it says is in `data`; names and free text, until they are erased, in `private`."""

    version: int
    type: str
    at: datetime
    by: ActorDocument
    data: dict[str, Any]
    private: dict[str, Any] | None


class EventPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some events, and where the next ones begin."""

    items: list[EventDocument]
    next_cursor: str | None


class SubjectDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What an event is about."""

    kind: str
    id: UUID


class AsOf(msgspec.Struct, frozen=True, kw_only=True):
    """The past moment that a token is shown at, and the event that decided what it was good for.

    That may be one of the user on whose behalf it acted, or of its account: `subject` says so.
    """

    at: datetime
    subject: SubjectDocument
    decided_by: EventDocument


class WarningDocument(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was done as it was asked for and deserves a second look; a code never changes its meaning."""

    code: Literal["never-expires", "scopes-undescribed"]
    detail: str


class TokenPlanned(msgspec.Struct, frozen=True, kw_only=True):
    """One of the tokens that are meant."""

    id: UUID
    number: int
    name: str | None
    owner: OwnerDocument
    last_used_at: datetime | None


class ChildrenDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What a token or a user made, in the reply that ends them.

    Without `with_children`: how many tokens that it made are not revoked, and where to list them. With it: how many are
    revoked at any depth, how many of them the caller may not end, and the job that does it.
    """

    living: Annotated[int | UnsetType, Meta(description="Not revoked, and accepted as before.")] = UNSET
    list: Annotated[str | UnsetType, Meta(examples=["/v1/tokens?creator=token:7"])] = UNSET
    ending: Annotated[
        int | UnsetType, Meta(description="Found until now; what is made until they are revoked is revoked as well.")
    ] = UNSET
    left_alone: Annotated[
        int | UnsetType, Meta(description="They belong to owners whose tokens the caller may not end.")
    ] = UNSET
    sample: Annotated[
        tuple[TokenPlanned, ...] | UnsetType, Meta(description="Twenty at most, in a dry run: those used last.")
    ] = UNSET
    revocation: Annotated[UUID | UnsetType, Meta(description="The job: `/v1/revocations/{job}`.")] = UNSET


class TokenDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A token as everybody may see it who may see it at all: never with its secret."""

    id: UUID
    number: int
    account: UUID
    owner: OwnerDocument
    creator: ActorDocument
    name: str | None
    description: str
    scopes: tuple[str, ...]
    effective_scopes: Annotated[
        tuple[str, ...], Meta(description="What it may do at this moment: nothing that the user may not who owns it.")
    ]
    metadata: dict[str, str]
    networks: Annotated[tuple[str, ...], Meta(description="From where it may be used; none is anywhere.")]
    rate_limit: Annotated[str | None, Meta(description="How often it may be used; null is any number of times.")]
    max_uses: Annotated[int | None, Meta(description="How often it may be used in all; null is any number of times.")]
    uses_left: Annotated[int | None, Meta(description="What is left of `max_uses`; null for a past moment.")]
    trust: Annotated[TrustDocument | None, Meta(description="Whose JWTs open it; null for a token with a secret.")]
    trust_by: Annotated[
        ActorDocument | None,
        Meta(description="Who stated the trust, or gave it scopes, last: its bearers may no more than they still may."),
    ]
    status: Status
    refused: Annotated[
        str | None, Meta(description="The problem that its secret is answered with at this moment; null: it is good.")
    ]
    lifetime: str | None
    expires_at: datetime | None
    created_at: datetime
    updated_at: datetime
    last_exchanged_at: datetime | None
    last_used_at: Annotated[datetime | None, Meta(description="True to the second; null for a past moment.")]
    generation: int
    previous_secret_until: datetime | None
    stub: str
    revision: int
    reason: str | None
    dialect: str
    as_of: Annotated[AsOf | UnsetType, Meta(description="Only of the past, where last uses are not told.")] = UNSET
    warnings: Annotated[
        tuple[WarningDocument, ...] | UnsetType, Meta(description="In the reply that issues it or changes its scopes.")
    ] = UNSET
    children: Annotated[ChildrenDocument | UnsetType, Meta(description="In the reply that revokes it.")] = UNSET


class Issued(msgspec.Struct, frozen=True, kw_only=True):
    """A token together with its new secret, which is shown this once; one that a trust opens has none."""

    token: TokenDocument
    secret: str | UnsetType = UNSET
    ended_early: Annotated[
        datetime | UnsetType,
        Meta(description="When a secret from an earlier grace, which this rotation ended, would have ended by itself."),
    ] = UNSET


class TokenPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some tokens, and where the next ones begin."""

    items: list[TokenDocument]
    next_cursor: str | None


class AlertDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A token that expires soon or has expired: what will break, and how soon.

    `at` and `threshold_seconds` are null where no notice was raised: a notice counts only for lives that are longer.
    """

    kind: Literal["expiring", "expired"]
    at: Annotated[datetime | None, Meta(description="When it was announced.")]
    threshold_seconds: Annotated[int | None, Meta(description="The notice that was crossed; 0 is the expiry.")]
    left_seconds: Annotated[int, Meta(description="Until the expiry; negative when it has passed.")]
    recent_uses: Annotated[int, Meta(description="Verifications of seven days, and one if it was exchanged then.")]
    owner_status: Annotated[
        Literal["active", "disabled"],
        Meta(description="Disabled where the user who owns it is: then nothing breaks unless they are enabled again."),
    ]
    token: TokenDocument


class AlertPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some alerts, and where the next ones begin."""

    items: list[AlertDocument]
    unannounced: Annotated[
        int,
        Meta(description="How many tokens expire within a day without a notice, 1,000 at most; see them by `within`."),
    ]
    next_cursor: str | None
