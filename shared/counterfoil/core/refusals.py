"""Every way the ledger says no; a refusal's docstring is its message.

Two kinds of failure exist. A `Refusal` is an answer: named, documented, mapped to a wire shape in one
place per wire. Everything else is a bug and rises to the edge.

    Refusal
    ├── Invalid            the request can never succeed as it stands
    │   ├── BadText, BadScope, BadDuration, BadExpiry, BadMetadata, BadOwner, BadReference
    │   ├── BadPolicy, BadEmail, BadPassword, BadLink, BadNetwork, BadRateLimit, BadQuota, BadTrust, BadTarget
    │   ├── UnknownUser
    │   ├── BadSecret, WeakSecret
    │   ├── EntryTooLarge
    │   └── KeyTooShort
    ├── Denied             the secret or bearer presented opens nothing
    │   ├── UnknownSecret
    │   ├── TokenExpired, TokenSuspended, TokenRevoked, SecretRetired
    │   ├── SecretEnded, OwnerDisabled, CallerGone, UsesExhausted
    │   └── TrustRefused, AlreadyAccepted, MakerGone
    ├── CredentialsRefused the credentials cannot be a token's, or are a bearer that is not good
    ├── Forbidden          the caller is known but may not
    │   ├── BeyondCaller, BeyondOwner, ScopeMissing, RenewsItself, OperatorOnly
    │   └── BeyondAudience, BeyondPolicy, NetworkForbidden, TokenNetworkForbidden
    ├── Conflict           true at this moment, may change
    │   ├── NotFound, AlreadyExists, AlreadyRevoked, StaleRevision
    │   ├── NothingToRenew, LifetimeRequired, LifetimeUnwanted
    │   ├── PreviousSecretGood, PreviousSecretEnded, NewSecretUnused
    │   ├── EmailTaken, LastAdministrator, UserGone, ShutsYouOut
    │   ├── PlanChanged, SecretTaken, NoSecret, NoTrust
    │   ├── InUse, TooEarly, CallerChanged, OwnerQuotaExceeded
    │   ├── TooManySubscriptions, SubscriptionInactive
    │   └── KeyReused, SecretNoLongerAvailable
    └── Unavailable        try again
        ├── Busy, OutcomeUnknown, Overloaded
        └── Misconfigured
"""

from __future__ import annotations

from dataclasses import dataclass


class Refusal(Exception):  # noqa: N818 - refusals are answers, not errors
    """The ledger refuses."""

    def __init__(self, detail: str = "", /, **facts: object) -> None:
        self.detail = detail or (type(self).__doc__ or "")
        self.facts = facts
        super().__init__(self.detail)


class Invalid(Refusal):
    """This request cannot succeed in this form."""


class BadText(Invalid):
    """Text must not contain control characters, NUL or bidirectional overrides, and must not be too long."""


class BadScope(Invalid):
    """A scope is dotted words such as tokens.read, or a branch such as tokens.*; * alone is not a scope."""


class BadDuration(Invalid):
    """A duration is a number with a unit, such as 90d, 2h45m or 300ms, or the word forever."""


class BadExpiry(Invalid):
    """An expiry is a moment such as 2027-01-31T09:30:00Z, or a date such as 2027-01-31, and no lifetime beside it."""


class BadMetadata(Invalid):
    """Metadata maps ASCII keys of 1 to 64 characters to strings."""


class BadOwner(Invalid):
    """An owner is a type (user, application or service) and an id, without personal data, such as service:billing."""


class UnknownUser(Invalid):
    """No user of this account has this id, number or e-mail address; name one that `counterfoil user list` shows."""


class BadPolicy(Invalid):
    """A policy has lifetimes and thresholds such as 90d, and networks such as 192.0.2.0/24."""


class BadNetwork(Invalid):
    """A network is an address and a length without host bits, such as 192.0.2.0/24 or 2001:db8::/32."""


class BadRateLimit(Invalid):
    """A rate limit is a number of calls and a duration of at least a second, such as 600/1m."""


class BadQuota(Invalid):
    """A number of uses or of tokens is between 1 and 1,000,000,000."""


class BadTrust(Invalid):
    """A trust has an issuer (an https URL), an audience, and conditions on claims such as repository: acme/app."""


class BadTarget(Invalid):
    """A webhook's URL is an https URL of a public host, or one that the operator allows (EGRESS_ALLOWED)."""


class BadEmail(Invalid):
    """An e-mail address has one @ with text on both sides, no spaces and no colons, such as grace@example.org."""


class BadPassword(Invalid):
    """A password has at least 12 characters and at most 1,024 bytes, and is not one of the common passwords."""


class BadLink(Invalid):
    """A documentation link is an http or https URL of visible ASCII characters, such as https://docs.example.org/scopes."""


class BadReference(Invalid):
    """A reference is an id, a number or the word self, such as 7."""


class BadSecret(Invalid):
    """An imported secret has 16 to 1,024 visible ASCII characters, and is neither a Counterfoil secret nor a JWT."""


class WeakSecret(Invalid):
    """This secret is too easy to guess; issue a new one instead of importing it."""


class EntryTooLarge(Invalid):
    """The event would be larger than 65,535 bytes; use fewer or shorter scopes."""


class KeyTooShort(Invalid):
    """An Idempotency-Key for a call that returns a secret needs at least 22 characters; use a random UUID."""


class Denied(Refusal):
    """The presented credential is not accepted."""


class UnknownSecret(Denied):
    """No token has this secret."""


class TokenExpired(Denied):
    """This token has expired; ask its owner to renew it."""


class TokenSuspended(Denied):
    """This token is suspended; it is refused until it is resumed."""


class TokenRevoked(Denied):
    """This token was revoked; issue a new one instead."""


class SecretRetired(Denied):
    """This secret was replaced by a rotation; use the new one."""


class SecretEnded(Denied):
    """All secrets of this account were revoked; rotate the token to get a new secret."""


class OwnerDisabled(Denied):
    """The user who owns this token is disabled; an administrator can enable the user again."""


class UsesExhausted(Denied):
    """This token was used as often as it may be; its `max_uses` can be raised, or a new token issued."""


class CallerGone(Denied):
    """The calling user was disabled or removed in the meantime, or their password changed."""


class TrustRefused(Denied):
    """The JWT does not meet the conditions of the token's trust."""


class AlreadyAccepted(Denied):
    """This JWT was accepted before, and the token's trust accepts each one once; request a new one."""


class MakerGone(Denied):
    """Whoever stated this token's trust is disabled, gone, suspended or expired; state its trust again (PATCH)."""


class CredentialsRefused(Refusal):
    """These credentials are not valid, or no longer valid."""


class Forbidden(Refusal):
    """The caller is authenticated but not allowed to do this."""


class BeyondCaller(Forbidden):
    """A caller cannot grant, gain or restore more than it holds itself: scopes and lifetime."""


class BeyondOwner(Forbidden):
    """A token cannot do more than the user who owns it; grant the scope to that user first."""


class BeyondAudience(Forbidden):
    """A bearer token cannot gain an audience; name one of its own, or present the token's secret."""


class BeyondPolicy(Forbidden):
    """The account's policy limits the lifetime; state a shorter one."""


class NetworkForbidden(Forbidden):
    """The account's policy allows only certain networks, and your address is in none of them."""


class TokenNetworkForbidden(Forbidden):
    """This token may be used from certain networks only, and your address is in none of them."""


class ScopeMissing(Forbidden):
    """The caller does not hold the scope that this call needs."""


class RenewsItself(Forbidden):
    """A token cannot renew itself; a user or another token must do it."""


class OperatorOnly(Forbidden):
    """Only the account that OPERATOR_ACCOUNT names may read the log of all accounts; leave out accounts=all."""


class Conflict(Refusal):
    """This is not possible in the current state."""


class NotFound(Conflict):
    """Nothing with this id exists in this account."""


class AlreadyExists(Conflict):
    """Something with this id already exists."""


class EmailTaken(Conflict):
    """Another user of this account has this e-mail address already."""


class LastAdministrator(Conflict):
    """This user is the account's last active administrator; create another administrator first."""


class UserGone(Conflict):
    """This user was removed, which is final; create the user again instead."""


class ShutsYouOut(Conflict):
    """Your own address is in none of these networks; set `shut_me_out` to true if that is intended."""


class AlreadyRevoked(Conflict):
    """This token was revoked, which is final; issue a new one instead."""


class StaleRevision(Conflict):
    """It changed since you read it; read it again and repeat with the new ETag."""


class NothingToRenew(Conflict):
    """This token was issued without a lifetime, so there is none to renew it for; state a lifetime or an expiry."""


class LifetimeRequired(Conflict):
    """This token has expired; rotating it needs a new lifetime or expiry as well."""


class LifetimeUnwanted(Conflict):
    """Rotation does not change the lifetime of a token that has not expired; renew it instead."""


class PreviousSecretGood(Conflict):
    """The secret before the present one is still good, and at most two are; state ends_previous to end it now."""


class PreviousSecretEnded(Conflict):
    """The token has no previous secret that is still good; one that has ended stays so."""


class NewSecretUnused(Conflict):
    """The new secret was never used: the previous one may be the only one that works. Use the new one first."""


class PlanChanged(Conflict):
    """The filter no longer matches the same tokens as the plan; request a new plan."""


class SecretTaken(Conflict):
    """This secret already belongs to another token."""


class NoSecret(Conflict):
    """This token is opened by its trust and has no secret to rotate; change its trust instead."""


class NoTrust(Conflict):
    """This token is opened by its secret, so it can have no trust; create another token with the trust."""


class InUse(Conflict):
    """This is still in use; end that use first."""


class TooEarly(Conflict):
    """It is too early for this; repeat it later."""


class CallerChanged(Conflict):
    """Your permissions changed during this request; nothing was changed, repeat it."""


class OwnerQuotaExceeded(Conflict):
    """The owner has as many live tokens as its quota allows; revoke one, or raise the quota's `max_tokens`."""


class TooManySubscriptions(Conflict):
    """This account has as many subscriptions as it may have; remove one."""


class SubscriptionInactive(Conflict):
    """This subscription is paused or disabled; resume it first."""


class KeyReused(Conflict):
    """This Idempotency-Key was used with another request."""


class SecretNoLongerAvailable(Conflict):
    """The request succeeded earlier, but its secret can no longer be shown; rotate the token to get a new one."""


class Unavailable(Refusal):
    """The service cannot do this now; try again."""


class Busy(Unavailable):
    """Another change to the same record is in progress; nothing was changed, try again."""


class OutcomeUnknown(Unavailable):
    """The database connection was lost during the commit; repeat with the same Idempotency-Key to learn the outcome."""


class Overloaded(Unavailable):
    """Too many requests are waiting, or the database cannot be reached; nothing was changed, try again."""


class Misconfigured(Unavailable):
    """A setting of the service is wrong; its log names the setting. Nothing was changed."""


@dataclass(frozen=True, slots=True)
class Refuses:
    """Marks a type with the refusals of values that have its form and are not acceptable.

    `Annotated[str, Refuses((BadCursor,))]` is a text that may be refused as a BadCursor.
    """

    refusals: tuple[type[Refusal], ...]
