"""The login of the calling user: one-time codes, and a short-lived token instead of the password."""

import io

import segno
from msgspec import UNSET

from counterfoil.core.refusals import NotFound
from counterfoil.core.subjects.token.commands import Create
from counterfoil.core.subjects.user import owner_of
from counterfoil.core.subjects.user_commands import EnrolTotp
from counterfoil.core.unit_of_work import Outcome
from counterfoil.documents.token_changes import Resumption
from counterfoil.documents.tokens import Issued
from counterfoil.documents.users import Enrolled, Enrolment, LoggedIn, NewLogin, OneTimeCode
from counterfoil.uses.issue import Wish
from counterfoil_api.auth.conventions import OURS
from counterfoil_api.auth.one_time import OneTimeCodes
from counterfoil_api.auth.principals import Caller
from counterfoil_api.handling.described import undescribed
from counterfoil_api.handling.issuing import Issuing
from counterfoil_api.handling.reading import Reading
from counterfoil_api.http.errors import BadCode, PasswordNeeded
from counterfoil_api.native.tokens.showing import document_after
from counterfoil_api.native.users.references import oneself
from counterfoil_api.native.users.showing import user_document
from counterfoil_api.operations.api import Api
from counterfoil_api.operations.reading import Body, IdempotencyKey
from counterfoil_api.operations.refusals import SECRET_REPLY
from counterfoil_api.operations.replies import Made, Tagged

api = Api("users", OURS)


@api.post("/v1/users/self/totp", refusals=(PasswordNeeded, NotFound))
async def begin_totp(reading: Reading, codes: OneTimeCodes, caller: Caller, *, _: Body[Resumption]) -> Enrolment:
    """Begin to use one-time codes: only this answer contains the seed for your authenticator.

    This needs your password, and a code if you use codes already. Nothing changes until you confirm a code of the new
    seed, within an hour.
    """
    begun = await codes.begin(await oneself(reading, caller))
    uri = begun.provisioning_uri()
    return Enrolment(secret=begun.secret, uri=uri, qr=_qr(uri))


@api.post(
    "/v1/users/self/totp/confirm",
    executes=(EnrolTotp,),
    refusals=(PasswordNeeded, NotFound, BadCode),
    example=OneTimeCode(code="492039"),
)
async def confirm_totp(
    reading: Reading, codes: OneTimeCodes, caller: Caller, *, body: Body[OneTimeCode]
) -> Tagged[Enrolled]:
    """Confirm the new seed with a code of it; from now on your password needs a code, too.

    Only this answer contains your ten recovery codes, each for one login. The confirming code is valid for no login.
    """
    default = await reading.default_account.id()  # first: after the codes are made, nothing may fail before the answer
    enrolled, recovery_codes = await codes.confirm(caller, await oneself(reading, caller), body.code)
    return Tagged(Enrolled(user=user_document(enrolled, default), recovery_codes=recovery_codes), enrolled.revision)


@api.post(
    "/v1/login", executes=(Create,), refusals=(PasswordNeeded, NotFound, *SECRET_REPLY), example=NewLogin(lifetime="1h")
)
async def log_in(issuing: Issuing, caller: Caller, *, body: Body[NewLogin], key: IdempotencyKey) -> Made[LoggedIn]:
    """Get a token for yourself with your password and one-time code; without a lifetime it lives for eight hours.

    It has all your scopes, or only `scopes`. To create what outlives it, such as a user, or to change a password, send
    the password instead.
    """
    user = await oneself(issuing.reading, caller)
    document = user_document(user, await issuing.reading.default_account.id())
    scopes = caller.scopes if body.scopes is UNSET else body.scopes
    # Scopes that the user holds already need no description in the catalogue.
    unlisted = await undescribed(issuing.reading, caller, () if body.scopes is UNSET else scopes)
    wish = Wish(name=body.name, owner=owner_of(user.id), scopes=scopes, lifetime=body.lifetime)

    def render(outcome: Outcome, secret: str) -> LoggedIn:
        return LoggedIn(user=document, issued=Issued(token=document_after(outcome), secret=secret))

    made = await issuing.issue(caller, wish, key, render, kind=LoggedIn, unlisted=unlisted)
    token = made.issued.token
    return Made(made, token.revision, f"/v1/tokens/{token.id}")


def _qr(uri: str) -> str:
    """Return the QR code as an SVG element without script, style or external parts."""
    drawn = io.BytesIO()
    segno.make(uri, error="m").save(drawn, kind="svg", xmldecl=False, svgns=True, scale=4, border=4, svgclass=None,
                                    lineclass=None)  # fmt: skip
    return drawn.getvalue().decode().strip()
