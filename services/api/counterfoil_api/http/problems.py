"""Problem documents (RFC 9457): the status, type and title of every refusal."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Protocol

import msgspec
from aiohttp import web

from counterfoil.core import cursor, refusals
from counterfoil.core.refusals import Refusal
from counterfoil_api.http import errors
from counterfoil_api.http.challenges import BAD_REQUEST, BASIC, INSUFFICIENT_SCOPE, INVALID_TOKEN, MISSING, detailed

PREFIX = "urn:counterfoil:problem:"
MEDIA_TYPE = "application/problem+json"

Headers = tuple[tuple[str, str], ...]

_SOON = (("Retry-After", "1"),)

# Matches our own secrets and signed bearers with all adjacent characters: the last filter of what a detail quotes.
_SECRETS = re.compile(r"(?<![\w-])(?:(?!eyJ)[\w-])*+eyJ[\w-]++(?:\.[\w-]++){2,}|cfl_[a-z]+_\w+")


@dataclass(frozen=True, slots=True)
class Kind:
    """The status, type and title of one refusal."""

    status: int
    name: str
    title: str
    headers: Headers = ()

    @property
    def type(self) -> str:
        """The stable URI by which programs recognise this problem."""
        return PREFIX + self.name


class Problem(msgspec.Struct, kw_only=True):
    """A refusal in the format of RFC 9457; some refusals add further members."""

    type: str
    title: str
    status: int
    detail: str


class ErrorFormat(Protocol):
    """Another format of refusals than RFC 9457, for clients that expect it."""

    media_type: str
    shape: type
    headers: Mapping[str, str]
    """The headers of every answer, refused or not."""

    def response(self, refusal: Refusal) -> web.Response:
        """Return the answer to a refusal."""

    def examples(self, kinds: Iterable[type[Refusal]]) -> Mapping[int, Mapping[str, object]]:
        """Return examples of refusals, by status and name."""


ERROR_FORMAT: Final = web.RequestKey("error_format", ErrorFormat)
"""The error format of a request, if its refusals are not problem documents."""

# Callers rely on the types: never rename one, never change its meaning.
KINDS: Mapping[type[Refusal], Kind] = MappingProxyType(
    {
        errors.MalformedRequest: Kind(400, "malformed-request", "Malformed request"),
        errors.InvalidPrecondition: Kind(400, "invalid-precondition", "Invalid If-Match header"),
        errors.CredentialsInQuery: Kind(400, "credentials-in-query", "Credentials in the query string", BAD_REQUEST),
        errors.CredentialsRepeated: Kind(400, "credentials-repeated", "More than one set of credentials", BAD_REQUEST),
        errors.BeyondLog: Kind(400, "beyond-log", "Beyond the end of the log"),
        errors.UnsupportedGrantType: Kind(400, "unsupported-grant-type", "Unsupported grant type"),
        errors.UnsupportedTokenType: Kind(400, "unsupported-token-type", "A bearer token cannot be revoked"),
        errors.ExchangeRefused: Kind(400, "exchange-refused", "The token cannot be exchanged"),
        errors.AssertionRefused: Kind(400, "assertion-refused", "The JWT was refused"),
        errors.TargetRefused: Kind(400, "target-refused", "Invalid resource or audience"),
        errors.CredentialsMissing: Kind(401, "credentials-missing", "Credentials required", MISSING),
        errors.OtpRequired: Kind(401, "otp-required", "One-time code required", INVALID_TOKEN),
        # RFC 6750 3.1: a caller who used another scheme does not know the accepted ones, and has made no error yet.
        errors.UnknownScheme: Kind(401, "unknown-scheme", "Unsupported authentication scheme", MISSING),
        refusals.CredentialsRefused: Kind(401, "credentials-refused", "Credentials refused", INVALID_TOKEN),
        refusals.UnknownSecret: Kind(401, "credentials-refused", "Credentials refused", INVALID_TOKEN),
        refusals.TokenExpired: Kind(401, "token-expired", "The token has expired", INVALID_TOKEN),
        refusals.TokenSuspended: Kind(401, "token-suspended", "The token is suspended", INVALID_TOKEN),
        refusals.TokenRevoked: Kind(401, "token-revoked", "The token was revoked", INVALID_TOKEN),
        refusals.SecretRetired: Kind(401, "secret-retired", "The secret was replaced", INVALID_TOKEN),
        refusals.SecretEnded: Kind(401, "secret-ended", "Every secret of the account was ended", INVALID_TOKEN),
        refusals.OwnerDisabled: Kind(401, "owner-disabled", "The owner is disabled", INVALID_TOKEN),
        refusals.UsesExhausted: Kind(401, "uses-exhausted", "All uses of the token were made", INVALID_TOKEN),
        refusals.CallerGone: Kind(401, "credentials-refused", "Credentials refused", INVALID_TOKEN),
        refusals.TrustRefused: Kind(401, "trust-refused", "The JWT does not meet the trust", INVALID_TOKEN),
        refusals.AlreadyAccepted: Kind(401, "already-accepted", "The JWT was accepted before", INVALID_TOKEN),
        refusals.MakerGone: Kind(401, "maker-gone", "The maker of the trust is gone", INVALID_TOKEN),
        refusals.BeyondAudience: Kind(403, "beyond-audience", "Audience not allowed for this bearer token"),
        refusals.BeyondPolicy: Kind(403, "beyond-policy", "Not allowed by the account's policy"),
        refusals.NetworkForbidden: Kind(403, "network-forbidden", "Network not allowed"),
        refusals.TokenNetworkForbidden: Kind(403, "token-network-forbidden", "Network not allowed for this token"),
        refusals.BeyondCaller: Kind(403, "beyond-caller", "More than the caller may grant"),
        refusals.BeyondOwner: Kind(403, "beyond-owner", "More than the owner may do"),
        refusals.ScopeMissing: Kind(403, "scope-missing", "Missing scope", INSUFFICIENT_SCOPE),
        refusals.RenewsItself: Kind(403, "renews-itself", "A token cannot renew itself"),
        refusals.OperatorOnly: Kind(403, "operator-only", "Only for the operator"),
        errors.PasswordNeeded: Kind(403, "password-needed", "Password required"),
        errors.CrossSite: Kind(403, "cross-site", "Request from another site"),
        errors.ProxyMisconfigured: Kind(403, "proxy-misconfigured", "The forward-auth URL is incomplete"),
        errors.NotVerified: Kind(403, "not-verified", "Credentials could not be verified", _SOON),
        errors.NoSuchPath: Kind(404, "no-such-path", "No such path"),
        refusals.NotFound: Kind(404, "not-found", "Not found"),
        refusals.BadReference: Kind(404, "bad-reference", "Invalid reference"),
        errors.MethodNotAllowed: Kind(405, "method-not-allowed", "Method not allowed"),
        errors.RequestTimeout: Kind(408, "request-timeout", "Request timed out"),
        refusals.AlreadyExists: Kind(409, "already-exists", "Already exists"),
        refusals.EmailTaken: Kind(409, "email-taken", "The e-mail address is taken"),
        refusals.LastAdministrator: Kind(409, "last-administrator", "The last administrator cannot be removed"),
        refusals.UserGone: Kind(409, "user-gone", "The user was removed"),
        refusals.ShutsYouOut: Kind(409, "shuts-you-out", "This would lock you out"),
        refusals.AlreadyRevoked: Kind(409, "already-revoked", "The token was revoked"),
        refusals.NothingToRenew: Kind(409, "nothing-to-renew", "No lifetime to renew for"),
        refusals.LifetimeRequired: Kind(409, "lifetime-required", "An expired token needs a new lifetime"),
        refusals.LifetimeUnwanted: Kind(409, "lifetime-unwanted", "Rotation cannot change the lifetime"),
        refusals.PreviousSecretGood: Kind(409, "previous-secret-good", "The previous secret is still good"),
        refusals.PreviousSecretEnded: Kind(409, "previous-secret-ended", "The previous secret has ended"),
        refusals.NewSecretUnused: Kind(409, "new-secret-unused", "The new secret was never used"),
        refusals.PlanChanged: Kind(409, "plan-changed", "The plan has changed"),
        refusals.SecretTaken: Kind(409, "secret-taken", "The secret is already in use"),
        refusals.NoSecret: Kind(409, "no-secret", "The token has no secret"),
        refusals.NoTrust: Kind(409, "no-trust", "The token has a secret"),
        refusals.InUse: Kind(409, "in-use", "Still in use"),
        refusals.TooEarly: Kind(409, "too-early", "Too early"),
        refusals.CallerChanged: Kind(409, "caller-changed", "The caller's permissions changed"),
        refusals.TooManySubscriptions: Kind(409, "too-many-subscriptions", "Too many subscriptions"),
        refusals.SubscriptionInactive: Kind(409, "subscription-inactive", "The subscription is paused or disabled"),
        refusals.OwnerQuotaExceeded: Kind(409, "owner-quota-exceeded", "The owner has too many tokens"),
        refusals.SecretNoLongerAvailable: Kind(410, "secret-no-longer-available", "The secret can no longer be shown"),
        refusals.StaleRevision: Kind(412, "stale-revision", "Changed since it was read"),
        errors.WeakTag: Kind(412, "weak-tag", "A weak tag never matches"),
        errors.BodyTooLarge: Kind(413, "body-too-large", "Request body too large"),
        errors.UnsupportedMediaType: Kind(415, "unsupported-media-type", "Unsupported media type"),
        errors.ExpectationFailed: Kind(417, "expectation-failed", "Unsupported Expect header"),
        errors.InvalidRequest: Kind(422, "invalid-request", "Invalid request"),
        cursor.BadCursor: Kind(422, "bad-cursor", "Invalid cursor"),
        refusals.BadText: Kind(422, "bad-text", "Invalid text"),
        refusals.BadScope: Kind(422, "bad-scope", "Invalid scope"),
        refusals.BadDuration: Kind(422, "bad-duration", "Invalid duration"),
        refusals.BadNetwork: Kind(422, "bad-network", "Invalid network"),
        refusals.BadRateLimit: Kind(422, "bad-rate-limit", "Invalid rate limit"),
        refusals.BadQuota: Kind(422, "bad-quota", "Invalid quota"),
        refusals.BadTarget: Kind(422, "bad-target", "Invalid webhook URL"),
        refusals.BadTrust: Kind(422, "bad-trust", "Invalid trust"),
        refusals.BadExpiry: Kind(422, "bad-expiry", "Invalid expiry"),
        refusals.BadMetadata: Kind(422, "bad-metadata", "Invalid metadata"),
        refusals.BadOwner: Kind(422, "bad-owner", "Invalid owner"),
        refusals.UnknownUser: Kind(422, "unknown-user", "There is no such user"),
        refusals.BadPolicy: Kind(422, "bad-policy", "Invalid policy"),
        refusals.BadLink: Kind(422, "bad-link", "Invalid link"),
        refusals.BadEmail: Kind(422, "bad-email", "Invalid e-mail address"),
        refusals.BadPassword: Kind(422, "bad-password", "Password not accepted"),
        errors.BadCode: Kind(422, "bad-code", "Wrong code"),
        refusals.BadSecret: Kind(422, "bad-secret", "Secret cannot be imported"),
        refusals.WeakSecret: Kind(422, "weak-secret", "Secret too weak"),
        refusals.EntryTooLarge: Kind(422, "entry-too-large", "Entry too large"),
        refusals.KeyTooShort: Kind(422, "key-too-short", "The Idempotency-Key is too short"),
        refusals.KeyReused: Kind(422, "key-reused", "The Idempotency-Key was used for something else"),
        errors.RateLimited: Kind(429, "rate-limited", "Too many requests", _SOON),
        errors.TooManyStreams: Kind(429, "too-many-streams", "Too many live streams", _SOON),
        errors.HeadersTooLarge: Kind(431, "headers-too-large", "Request headers too large"),
        errors.InternalError: Kind(500, "internal-error", "Internal error"),
        errors.IssuerUnavailable: Kind(503, "issuer-unavailable", "The issuer cannot be reached", _SOON),
        refusals.Busy: Kind(503, "busy", "Another change is in progress", _SOON),
        refusals.OutcomeUnknown: Kind(503, "outcome-unknown", "Outcome unknown", _SOON),
        refusals.Misconfigured: Kind(503, "misconfigured", "The service is misconfigured", _SOON),
        refusals.Overloaded: Kind(503, "overloaded", "Service unavailable", _SOON),
    }
)


def kind_of(refusal: Refusal) -> Kind:
    """Return the kind of a refusal; a refusal without one is a bug, answered as an internal error."""
    return KINDS.get(type(refusal)) or KINDS[errors.InternalError]


def problem_document(refusal: Refusal) -> dict[str, object]:
    kind = kind_of(refusal)
    return {
        **{name: scrubbed(fact) for name, fact in refusal.facts.items()},
        "type": kind.type,
        "title": kind.title,
        "status": kind.status,
        "detail": scrubbed(refusal.detail),
    }


def problem(refusal: Refusal) -> web.Response:
    status = kind_of(refusal).status
    response = refusal_response(refusal, problem_document(refusal), status=status, media_type=MEDIA_TYPE)
    if status == 401:
        response.headers.add("WWW-Authenticate", BASIC)  # a line of its own: few clients find two in one
    return response


def refusal_response(
    refusal: Refusal, document: object, *, status: int, media_type: str = "application/json",
    headers: Mapping[str, str] = MappingProxyType({}),
) -> web.Response:  # fmt: skip
    """Return the response to a refusal with this document, and with Retry-After, Allow and the challenge of a 401."""
    fields = {"Content-Type": media_type, "Cache-Control": "no-store", **dict(kind_of(refusal).headers), **headers}
    if "WWW-Authenticate" in fields:
        fields["WWW-Authenticate"] = challenge(refusal)
    if "retry_after" in refusal.facts:
        fields["Retry-After"] = str(refusal.facts["retry_after"])
    if "allow" in refusal.facts:
        fields["Allow"] = str(refusal.facts["allow"])
    if status < 400:  # in an API whose refusals have the status 200
        fields.pop("WWW-Authenticate", None)
    return web.Response(body=msgspec.json.encode(document), status=status, headers=fields)


def challenge(refusal: Refusal) -> str:
    """Return the challenge of a refusal, with a description of the error."""
    kind = kind_of(refusal)
    return detailed(dict(kind.headers)["WWW-Authenticate"], kind.title, refusal.facts.get("scope"))


def scrubbed(fact: object) -> object:
    """Return a fact without anything that could be a secret."""
    if isinstance(fact, str):
        return _SECRETS.sub("…", fact)
    if isinstance(fact, (list, tuple)):
        return [scrubbed(each) for each in fact]
    return fact
