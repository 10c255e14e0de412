"""All other methods: the gate checks whether the token allows a method, and forwards the call to the platform.

The platform gets the caller's identity and the parameters without session and password, and none of the caller's
headers. Parameters are neither logged nor repeated in errors.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Final
from urllib.parse import quote, urlencode

import aiohttp
from yarl import URL

from counterfoil.core.principal import Principal
from counterfoil.core.refusals import Misconfigured, NotFound, OutcomeUnknown, Overloaded, ScopeMissing
from counterfoil.settings import Settings
from counterfoil_api.auth.principals import Caller
from counterfoil_api.dialects.logins import session_of
from counterfoil_api.dialects.tokens import Tokens
from counterfoil_api.dialects.virtuozzo.api import api
from counterfoil_api.dialects.virtuozzo.methods import scope_of
from counterfoil_api.operations.reading import Fields, path_type
from counterfoil_api.operations.replies import Page

WITHHELD: Final = frozenset({"session", "password"})
"""Parameters that the platform does not get."""
PATIENCE_SECONDS: Final = 60.0
LONGEST_ANSWER: Final = 8 * 2**20
_CONNECT_SECONDS: Final = 5.0
_PART: Final = 65_536
_WORD: Final = re.compile(r"[a-z0-9_-]{1,64}")
_PATH: Final = "/{group}/{service}/rest/{function}"
_NOT_KNOWN: Final = "the call may have been carried out."

Word = Annotated[str, path_type("A part of a method's name, in small letters.", f"^{_WORD.pattern}$", "control")]
Given = Fields[dict[str, list[str]]]


def _declare(verb: str) -> None:
    """Declare the operation for one HTTP method, which is also the one by which the platform is called."""

    @api.route(
        verb,
        _PATH,
        name=f"call_by_{verb.lower()}",
        refusals=(ScopeMissing, NotFound, Misconfigured),
        patience_seconds=PATIENCE_SECONDS + _CONNECT_SECONDS,
    )
    async def call(
        tokens: Tokens, settings: Settings, caller: Caller, *, group: Word, service: Word, function: Word, fields: Given
    ) -> Page:
        """Call a method of the platform, if the token allows it."""
        if not all(map(_WORD.fullmatch, (group, service, function))):
            raise NotFound("A method's path is GROUP/CLASS/rest/FUNCTION in small letters.")
        await _refuse_beyond(tokens, caller, f"{group}.{service}.{function}")
        if (upstream := settings.virtuozzo_upstream) is None:
            raise Misconfigured("The method is allowed, but no platform is configured to call; set VIRTUOZZO_UPSTREAM.")
        forwarded = {name: values for name, values in fields.items() if name.lower() not in WITHHELD}
        address = f"{upstream}/1.0/{group}/{service}/rest/{function}"
        return await _answer(verb, address, urlencode(forwarded, doseq=True), _identity(caller))


for _verb in ("GET", "POST"):
    _declare(_verb)


async def _refuse_beyond(tokens: Tokens, caller: Principal, method: str) -> None:
    permission = scope_of(method)
    if not caller.lacks(permission):
        return
    if await session_of(tokens, caller) is not None:
        raise ScopeMissing(f"The user may not call {method}.")
    raise ScopeMissing(f"The token does not allow {method}.", scope=permission)


async def _answer(verb: str, address: str, parameters: str, identity: Mapping[str, str]) -> Page:
    """Call the platform on a new connection: on a kept one the call could get lost."""
    post = verb == "POST"
    form = {"Content-Type": "application/x-www-form-urlencoded"} if post else {}
    headers = {"User-Agent": "counterfoil", "Accept-Encoding": "identity", **form, **identity}
    url = URL(address if post else f"{address}?{parameters}", encoded=True)
    body = parameters.encode() if post else None
    timeout = aiohttp.ClientTimeout(total=PATIENCE_SECONDS, sock_connect=_CONNECT_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(
                timeout=timeout, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False, middlewares=(_once,)
            ) as client,
            client.request(verb, url, data=body, headers=headers, allow_redirects=False) as answer,
        ):
            return await _page(answer)
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
        raise Overloaded("The platform cannot be reached; the call was not carried out.") from None
    except (aiohttp.ClientError, TimeoutError):  # their messages contain the URL with all parameters
        raise _lost() from None


async def _once(request: aiohttp.ClientRequest, ask: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Send once: after a lost connection aiohttp would repeat a call that may have been carried out."""
    try:
        return await ask(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
        raise _lost() from None


def _lost() -> OutcomeUnknown:
    return OutcomeUnknown(f"The platform did not answer, or not in time; {_NOT_KNOWN}")


async def _page(answer: aiohttp.ClientResponse) -> Page:
    if answer.status != 200:
        raise OutcomeUnknown(f"The platform answered with the HTTP status {answer.status}; {_NOT_KNOWN}")
    if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise OutcomeUnknown(f"The platform compressed its answer, which was not requested; {_NOT_KNOWN}")
    content = bytearray()
    async for part in answer.content.iter_chunked(_PART):
        content += part
        if len(content) > LONGEST_ANSWER:
            raise OutcomeUnknown(f"The platform's answer is longer than {LONGEST_ANSWER:,} bytes; {_NOT_KNOWN}")
    return Page(bytes(content), answer.headers.get("Content-Type", "application/json"))


def _identity(caller: Principal) -> dict[str, str]:
    """Return the caller's identity, in the headers of forward authentication."""
    owner = {"Owner": quote(caller.owner.id, safe=":"), "Owner-Type": caller.owner.type} if caller.owner else {}
    named = {"Account": str(caller.account), "Token": str(caller.actor.id), **owner}
    return {f"X-Counterfoil-{name}": value for name, value in named.items()}
