"""Every way the ledger says no; a refusal's docstring is its message.

Two kinds of failure exist. A `Refusal` is an answer: named, documented, mapped to a wire shape in one
place per wire. Everything else is a bug and rises to the edge.

    Refusal
    ├── Invalid            the request can never succeed as it stands
    │   ├── BadText, BadScope, BadDuration, BadExpiry, BadMetadata, BadOwner, BadReference
    │   ├── BadPolicy, BadEmail, BadPassword, BadLink
    │   ├── BadSecret, WeakSecret
    │   ├── EntryTooLarge
    │   └── KeyTooShort
    ├── Denied             the secret or bearer presented opens nothing
    │   ├── UnknownSecret
    │   ├── TokenExpired, TokenSuspended, TokenRevoked, SecretRetired
    │   └── SecretEnded, OwnerDisabled, CallerGone
    ├── Forbidden          the caller is known but may not
    │   ├── BeyondCaller, BeyondOwner, ScopeMissing, RenewsItself
    │   └── BeyondAudience, BeyondPolicy, NetworkForbidden
    ├── Conflict           true at this moment, may change
    │   ├── NotFound, AlreadyExists, AlreadyRevoked, StaleRevision
    │   ├── NothingToRenew, LifetimeRequired, LifetimeUnwanted
    │   ├── EmailTaken, LastAdministrator, UserGone, ShutsYouOut
    │   ├── PlanChanged, SecretTaken
    │   ├── InUse, TooEarly, CallerChanged
    │   └── KeyReused, SecretNoLongerAvailable
    └── Unavailable        try again
        ├── Busy, OutcomeUnknown, Overloaded
        └── Misconfigured
"""

from __future__ import annotations


class Refusal(Exception):  # noqa: N818 - refusals are answers, named as complaints
    """The ledger refuses."""

    def __init__(self, detail: str = "", /, **facts: object) -> None:
        self.detail = detail or (type(self).__doc__ or "")
        self.facts = facts
        super().__init__(self.detail)


class Invalid(Refusal):
    """This request can never succeed as it stands."""


class BadText(Invalid):
    """Text may not hold control characters, NUL or bidirectional overrides, nor be too long."""


class BadScope(Invalid):
    """A scope is dotted words such as tokens.read, or a branch such as tokens.*; a lone * is not one."""


class BadDuration(Invalid):
    """A duration is a number with a unit, such as 90d, 2h45m or 300ms, or the word forever."""


class BadExpiry(Invalid):
    """Give a duration or an expiry, not both; an expiry has a time zone and lies before the year 9999."""


class BadMetadata(Invalid):
    """Metadata maps short ASCII keys to strings."""


class BadOwner(Invalid):
    """An owner is a type (user, application or service) and an opaque id without personal data."""


class BadPolicy(Invalid):
    """A policy has lifetimes such as 90d, the default at most the longest, thresholds, and networks in CIDR form."""


class BadEmail(Invalid):
    """An e-mail address has one @ with something on both sides, and no spaces."""


class BadPassword(Invalid):
    """A password has 12 characters at least and 1,024 bytes at most, and is none that is tried first."""


class BadLink(Invalid):
    """A link to documentation is an http or https address of visible ASCII characters."""


class BadReference(Invalid):
    """A reference is an id, a number or the word self."""


class BadSecret(Invalid):
    """A secret from elsewhere is 16 to 1,024 visible ASCII characters, neither one of ours nor a signed bearer."""


class WeakSecret(Invalid):
    """This secret could be guessed; issue a new one instead of importing it."""


class EntryTooLarge(Invalid):
    """The event would be over 65,535 bytes; use fewer or shorter scopes."""


class KeyTooShort(Invalid):
    """An Idempotency-Key that guards a secret needs at least 22 characters; use a random UUID."""


class Denied(Refusal):
    """What was presented opens nothing."""


class UnknownSecret(Denied):
    """No token has this secret."""


class TokenExpired(Denied):
    """This token has expired; ask its owner to renew it."""


class TokenSuspended(Denied):
    """This token is suspended; it is refused until somebody resumes it."""


class TokenRevoked(Denied):
    """This token was revoked; issue a new one instead."""


class SecretRetired(Denied):
    """This secret was replaced by a rotation; use the new one."""


class SecretEnded(Denied):
    """Every secret of this account was ended; rotate the token for a new one."""


class OwnerDisabled(Denied):
    """The user on whose behalf this token acts is disabled; an administrator can enable them again."""


class CallerGone(Denied):
    """The user who asks was disabled or removed meanwhile, or has another password by now."""


class Forbidden(Refusal):
    """The caller is known, but may not do this."""


class BeyondCaller(Forbidden):
    """A caller never gives, gains or revives more than it holds itself: scopes and lifetime."""


class BeyondOwner(Forbidden):
    """A token never does more than the user on whose behalf it acts; give the scope to them first."""


class BeyondAudience(Forbidden):
    """A bearer is exchanged for none with another audience; name some of its own, or present the token's secret."""


class BeyondPolicy(Forbidden):
    """The account's policy sets a longest lifetime; state a shorter one."""


class NetworkForbidden(Forbidden):
    """The account's policy names the networks that it may be used from, and this is none of them."""


class ScopeMissing(Forbidden):
    """The caller lacks the scope that this call needs."""


class RenewsItself(Forbidden):
    """A token never renews itself; a user or another token must do it."""


class Conflict(Refusal):
    """Not possible in the present state."""


class NotFound(Conflict):
    """There is nothing with this id here."""


class AlreadyExists(Conflict):
    """Something with this id exists already."""


class EmailTaken(Conflict):
    """A user with this e-mail address exists already; an address names one user in all accounts."""


class LastAdministrator(Conflict):
    """This is the account's last active administrator; make another one first."""


class UserGone(Conflict):
    """This user was removed, which is final; add them anew instead."""


class ShutsYouOut(Conflict):
    """You are in none of these networks yourself; say `shut_me_out` if you mean it."""


class AlreadyRevoked(Conflict):
    """This token was revoked, which is final; issue a new one instead."""


class StaleRevision(Conflict):
    """It changed since you read it; read it again and repeat with the new ETag."""


class NothingToRenew(Conflict):
    """This token has no duration to live again; state a duration or an expiry."""


class LifetimeRequired(Conflict):
    """This token has expired; rotating it needs a new duration or expiry as well."""


class LifetimeUnwanted(Conflict):
    """Rotation never changes the lifetime of a living token; renew it instead."""


class PlanChanged(Conflict):
    """The tokens that are meant are no longer those of the plan; look at them again."""


class SecretTaken(Conflict):
    """This secret opens a token already; nobody else can have it."""


class InUse(Conflict):
    """It is still needed; see to what needs it first."""


class TooEarly(Conflict):
    """It is too early for this; come back when it is due."""


class CallerChanged(Conflict):
    """What you may do was changed while you asked; nothing was done, ask again."""


class KeyReused(Conflict):
    """This Idempotency-Key was used with another request."""


class SecretNoLongerAvailable(Conflict):
    """The request succeeded earlier, but its secret can no longer be shown; ask for a new one."""


class Unavailable(Refusal):
    """Not now; try again."""


class Busy(Unavailable):
    """Somebody else holds this row; nothing was changed, try again."""


class OutcomeUnknown(Unavailable):
    """The database was lost while committing; repeat with the same Idempotency-Key to learn the outcome."""


class Overloaded(Unavailable):
    """Too many requests are waiting, or the database is away; nothing was changed, try again."""


class Misconfigured(Unavailable):
    """A setting of this process is wrong, and the log of the service says which one; nothing was changed."""
