"""What the HTTP edge itself refuses, before the ledger was even asked.

Complaint
├── MalformedRequest         the bytes are no request
├── InvalidRequest           readable, but not what this operation takes
├── InvalidPrecondition      an If-Match that names no entity tag
├── CredentialsInQuery       a secret where every proxy logs it
├── CredentialsRepeated      more than one set of them
├── CredentialsMissing       nobody is asking
├── UnknownScheme            somebody is, in a way that we do not know
├── CredentialsRefused       somebody is, but we do not believe them
├── OtpRequired              somebody is, but a password alone is not enough for them
├── PasswordNeeded           a token asks for what takes a password
├── BadCode                  a one-time code that the seed does not give now
├── ProxyMisconfigured       a proxy asks, but its address states no demand
├── NotVerified              a proxy's question cannot be answered now, which counts as no
├── RateLimited              too much of something; Retry-After says when it is not
├── UnsupportedGrantType, UnsupportedTokenType, ExchangeRefused, TargetRefused
│                            what OAuth's endpoints refuse, each by a name of its own there
├── NoSuchPath, MethodNotAllowed
├── BodyTooLarge, UnsupportedMediaType, HeadersTooLarge, RequestTimeout
├── ExpectationFailed        an Expect that we do not speak
└── InternalError            a bug of ours, logged with the request's id
"""

from counterfoil.refusals import Refusal


class Complaint(Refusal):
    """The edge refuses."""


class MalformedRequest(Complaint):
    """These bytes are not a request that can be read."""


class InvalidRequest(Complaint):
    """The request does not have the form that this operation takes."""


class InvalidPrecondition(Complaint):
    """If-Match takes *, or strong entity tags in double quotes."""


class CredentialsInQuery(Complaint):
    """Credentials never travel in a query string; use the Authorization header, and consider these leaked."""


class CredentialsRepeated(Complaint):
    """A request carries one set of credentials, once."""


class UnsupportedGrantType(Complaint):
    """The grant types of this service are client_credentials and token exchange (RFC 8693)."""


class UnsupportedTokenType(Complaint):
    """A bearer ends by itself, or with its token: revoke the token that it names as client_id, or rotate its secret."""


class ExchangeRefused(Complaint):
    """The subject_token or the actor_token is not good, or is no longer."""


class TargetRefused(Complaint):
    """A resource is an absolute URI without a fragment."""


class CredentialsMissing(Complaint):
    """This operation needs credentials in the Authorization header."""


class UnknownScheme(Complaint):
    """Authorization takes the Bearer or the Basic scheme."""


class CredentialsRefused(Complaint):
    """These credentials are not good, or are no longer."""


class OtpRequired(Complaint):
    """This user's password takes a one-time code beside it: send it as X-Authorization-OTP."""


class PasswordNeeded(Complaint):
    """This takes the user's own password, and their one-time code if they have one; no token will do."""


class BadCode(Complaint):
    """This is not the code that the seed gives now; look at the clock, or begin again."""


class ProxyMisconfigured(Complaint):
    """The proxy's address for this service does not say what is demanded, so nothing passes."""


class NotVerified(Complaint):
    """It cannot be said now whether these credentials are good, so nothing passes; try again."""


class RateLimited(Complaint):
    """There were too many requests; come back when Retry-After is over."""


class NoSuchPath(Complaint):
    """Nothing answers at this path."""


class MethodNotAllowed(Complaint):
    """This path answers, but not to this method; Allow names those it knows."""


class RequestTimeout(Complaint):
    """The body did not arrive in time."""


class BodyTooLarge(Complaint):
    """The body is longer than this service reads."""


class UnsupportedMediaType(Complaint):
    """The body is of a media type or coding that this operation does not read."""


class ExpectationFailed(Complaint):
    """The only expectation that this service meets is 100-continue."""


class HeadersTooLarge(Complaint):
    """The request line or a header is longer than this service reads."""


class InternalError(Complaint):
    """Something went wrong here; it was logged under this request's id."""
