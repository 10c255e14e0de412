"""The refusals of the HTTP layer, before the ledger is involved.

Complaint
├── MalformedRequest         the bytes are not valid HTTP
├── InvalidRequest           valid HTTP, but not what the operation expects
├── InvalidPrecondition      an If-Match or If-None-Match without entity tags
├── WeakTag                  an If-Match with a weak tag, perhaps made so by a proxy
├── BeyondLog                a position after the end of the log
├── CredentialsInQuery       a secret in the query string, which proxies log
├── CredentialsRepeated      more than one set of credentials
├── CredentialsMissing       no credentials
├── UnknownScheme            an authentication scheme that is not supported
├── OtpRequired              a password without the one-time code that the user needs
├── PasswordNeeded           a token where a password is needed
├── CrossSite                a browser sends a change, with a stored login, for another site's page
├── BadCode                  a one-time code that is not the current one
├── ProxyMisconfigured       a forward-auth URL without what to require
├── NotVerified              credentials that cannot be verified now, so the proxy must deny
├── RateLimited              too many requests; Retry-After states how long to wait
├── TooManyStreams           an account with too many live streams in one process
├── AssertionRefused         a JWT of another issuer that is not accepted
├── IssuerUnavailable        the issuer's keys cannot be fetched now
├── UnsupportedGrantType, UnsupportedTokenType, ExchangeRefused, TargetRefused
│                            the errors of OAuth's endpoints, each with its name there
├── NoSuchPath, MethodNotAllowed
├── BodyTooLarge, UnsupportedMediaType, HeadersTooLarge, RequestTimeout
├── ExpectationFailed        an unsupported Expect header
└── InternalError            a bug, logged with the request's id
"""

from counterfoil.core.refusals import Refusal


class Complaint(Refusal):
    """The request is not acceptable HTTP."""


class MalformedRequest(Complaint):
    """The request is not valid HTTP."""


class InvalidRequest(Complaint):
    """The request does not have the form that this operation expects."""


class InvalidPrecondition(Complaint):
    """If-Match and If-None-Match take *, or entity tags in double quotes, such as "3"."""


class WeakTag(Complaint):
    """A weak tag (W/) never matches an If-Match, which compares strongly; send the tag without W/."""


class BeyondLog(Complaint):
    """The log ends before this position; begin at an earlier one, or at `latest`."""


class CredentialsInQuery(Complaint):
    """Credentials are refused in a query string; use the Authorization header, and treat these as leaked."""


class CredentialsRepeated(Complaint):
    """Send one set of credentials, not several."""


class UnsupportedGrantType(Complaint):
    """The supported grant types are client_credentials and token exchange (RFC 8693)."""


class UnsupportedTokenType(Complaint):
    """A bearer token ends when it expires or with its token: revoke or rotate the token that it names as client_id."""


class ExchangeRefused(Complaint):
    """The subject_token or the actor_token is not valid, or no longer valid."""


class AssertionRefused(Complaint):
    """The subject_token is no JWT that this token trusts: it has to be valid, and signed by the trusted issuer."""


class IssuerUnavailable(Complaint):
    """The issuer's keys cannot be fetched at the moment; try again. If it stays so, the service's log says why."""


class TargetRefused(Complaint):
    """A resource is an absolute URI without a fragment, such as https://api.example.org."""


class CredentialsMissing(Complaint):
    """Send credentials in the Authorization header, such as `Authorization: Bearer SECRET`."""


class UnknownScheme(Complaint):
    """The Authorization header must use the Bearer or the Basic scheme."""


class OtpRequired(Complaint):
    """This user also needs a one-time code: send it in the X-Authorization-OTP header."""


class PasswordNeeded(Complaint):
    """This needs the user's own password, and a one-time code if the user has one; a token is not accepted."""


class CrossSite(Complaint):
    """A browser sent this change with a saved login for a page of another site; use a program, or a bearer token."""


class BadCode(Complaint):
    """This one-time code is not the current one; check your clock, or begin the enrolment again."""


class ProxyMisconfigured(Complaint):
    """The proxy's forward-auth URL does not name the account and scopes to require; the request is denied."""


class NotVerified(Complaint):
    """The credentials cannot be verified at the moment, so the request is denied; try again."""


class RateLimited(Complaint):
    """Too many requests; wait as long as Retry-After says."""


class TooManyStreams(Complaint):
    """The account has too many live streams open; end one, or wait as long as Retry-After says."""


class NoSuchPath(Complaint):
    """No resource has this path; GET /openapi.json lists the paths."""


class MethodNotAllowed(Complaint):
    """This path does not have this method; the Allow header names those that it has."""


class RequestTimeout(Complaint):
    """The request body did not arrive in time."""


class BodyTooLarge(Complaint):
    """The request body is larger than this service accepts."""


class UnsupportedMediaType(Complaint):
    """This operation does not accept the body's media type or coding."""


class ExpectationFailed(Complaint):
    """The only supported Expect value is 100-continue."""


class HeadersTooLarge(Complaint):
    """The request line or a header is longer than this service accepts."""


class InternalError(Complaint):
    """An internal error occurred; the service logged it under this request's id."""
