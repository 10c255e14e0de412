"""What the HTTP edge itself refuses, before the ledger was even asked.

Complaint
├── MalformedRequest         the bytes are no request
├── InvalidRequest           readable, but not what this operation takes
├── InvalidPrecondition      an If-Match or If-None-Match that names no entity tag
├── WeakTag                  an If-Match that names a tag made weak, perhaps by a proxy
├── BeyondLog                a position that the log has not come to
├── CredentialsInQuery       a secret where every proxy logs it
├── CredentialsRepeated      more than one set of them
├── CredentialsMissing       nobody is asking
├── UnknownScheme            somebody is, in a way that we do not know
├── OtpRequired              somebody is, but a password alone is not enough for them
├── PasswordNeeded           a token asks for what takes a password
├── CrossSite                a browser asks for a change, with the login it keeps, on behalf of another site's page
├── BadCode                  a one-time code that the seed does not give now
├── ProxyMisconfigured       a proxy asks, but its address states no demand
├── NotVerified              a proxy's question cannot be answered now, which counts as no
├── RateLimited              too much of something; Retry-After says when it is not
├── TooManyStreams           an account follows the log more often than one process lets it
├── AssertionRefused         a JWT of another issuer that is not believed
├── IssuerUnavailable        its issuer's keys cannot be fetched now
├── UnsupportedGrantType, UnsupportedTokenType, ExchangeRefused, TargetRefused
│                            what OAuth's endpoints refuse, each by a name of its own there
├── NoSuchPath, MethodNotAllowed
├── BodyTooLarge, UnsupportedMediaType, HeadersTooLarge, RequestTimeout
├── ExpectationFailed        an Expect that we do not speak
└── InternalError            a bug of ours, logged with the request's id
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
