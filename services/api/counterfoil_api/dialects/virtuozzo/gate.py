"""What tokens are used for: every other method is checked here, and then asked of the platform behind.

The platform is told who calls and the parameters, but neither the session nor a password, and none of the caller's
headers. Nothing of the parameters is logged, and no error repeats them.
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
from counterfoil_api.dialects.virtuozzo.api import api
from counterfoil_api.dialects.virtuozzo.callers import session_of
from counterfoil_api.dialects.virtuozzo.methods import scope_of
from counterfoil_api.handling.reading import Reading
from counterfoil_api.operations.reading import Asker, Fields, path_type
from counterfoil_api.operations.replies import Page

WITHHELD: Final = frozenset({"session", "password"})
"""Parameters that are for us alone."""
PATIENCE_SECONDS: Final = 60.0
LONGEST_ANSWER: Final = 8 * 2**20
_CONNECT_SECONDS: Final = 5.0
_PART: Final = 65_536
_WORD: Final = re.compile(r"[a-z0-9_-]{1,64}")
_PATH: Final = "/{group}/{service}/rest/{function}"
_REFUSALS: Final = (ScopeMissing, NotFound, Misconfigured)
_NOT_KNOWN: Final = "the call may have been carried out."

Word = Annotated[str, path_type("A part of a method's name, in small letters.", f"^{_WORD.pattern}$", "control")]
Parameters = Fields[dict[str, list[str]]]


@api.route("GET", _PATH, refusals=_REFUSALS, patience_seconds=PATIENCE_SECONDS + _CONNECT_SECONDS)
async def call_by_get(
    reading: Reading,
    settings: Settings,
    asker: Asker[Principal],
    *,
    group: Word,
    service: Word,
    function: Word,
    fields: Parameters,
) -> Page:
    """Call a method of the platform, if the token allows it."""
    return await _called(reading, settings, asker, "GET", (group, service, function), fields=fields)


@api.route("POST", _PATH, refusals=_REFUSALS, patience_seconds=PATIENCE_SECONDS + _CONNECT_SECONDS)
async def call_by_post(
    reading: Reading,
    settings: Settings,
    asker: Asker[Principal],
    *,
    group: Word,
    service: Word,
    function: Word,
    fields: Parameters,
) -> Page:
    """Call a method of the platform, if the token allows it."""
    return await _called(reading, settings, asker, "POST", (group, service, function), fields=fields)


async def _called(
    reading: Reading,
    settings: Settings,
    asker: Principal,
    verb: str,
    words: tuple[str, ...],
    *,
    fields: Mapping[str, list[str]],
) -> Page:
    if not all(map(_WORD.fullmatch, words)):
        raise NotFound("A method's path is GROUP/CLASS/rest/FUNCTION in small letters.")
    await _refuse_beyond(reading, asker, ".".join(words))
    upstream = settings.virtuozzo_upstream
    if upstream is None:
        raise Misconfigured("The method is allowed, but no platform is configured to call; set VIRTUOZZO_UPSTREAM.")
    group, service, function = words
    shown = {name: values for name, values in fields.items() if name.lower() not in WITHHELD}
    address = f"{upstream}/1.0/{group}/{service}/rest/{function}"
    return await _answer(verb, address, urlencode(shown, doseq=True), _identity(asker))


async def _refuse_beyond(reading: Reading, asker: Principal, method: str) -> None:
    permission = scope_of(method)
    if not asker.lacks(permission):
        return
    if await session_of(reading, asker) is not None:
        raise ScopeMissing(f"The user may not call {method}.")
    raise ScopeMissing(f"The token does not allow {method}.", scope=permission)


async def _answer(verb: str, address: str, parameters: str, identity: Mapping[str, str]) -> Page:
    """What the platform answers. A connection of its own: on none that was kept can a call get lost."""
    post = verb == "POST"
    form = {"Content-Type": "application/x-www-form-urlencoded"} if post else {}
    headers = {"User-Agent": "counterfoil", "Accept-Encoding": "identity", **form, **identity}
    url = URL(address if post else f"{address}?{parameters}", encoded=True)
    body = parameters.encode() if post else None
    timeout = aiohttp.ClientTimeout(total=PATIENCE_SECONDS, sock_connect=_CONNECT_SECONDS)
    cookies = aiohttp.DummyCookieJar()
    try:
        async with (
            aiohttp.ClientSession(
                timeout=timeout, cookie_jar=cookies, auto_decompress=False, middlewares=(_once,)
            ) as client,
            client.request(verb, url, data=body, headers=headers, allow_redirects=False) as answer,
        ):
            return await _page(answer)
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
        raise Overloaded("The platform cannot be reached; the call was not carried out.") from None
    except (aiohttp.ClientError, TimeoutError):  # their words have the address in them, with all its parameters
        raise _lost() from None


async def _once(request: aiohttp.ClientRequest, ask: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Ask once: after a lost connection aiohttp would ask again, and the first time may have been heard."""
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
        raise OutcomeUnknown(f"The platform packed its answer, which it was not asked to; {_NOT_KNOWN}")
    content = bytearray()
    async for part in answer.content.iter_chunked(_PART):
        content += part
        if len(content) > LONGEST_ANSWER:
            raise OutcomeUnknown(f"The platform's answer is longer than {LONGEST_ANSWER:,} bytes; {_NOT_KNOWN}")
    return Page(bytes(content), answer.headers.get("Content-Type", "application/json"))


def _identity(asker: Principal) -> dict[str, str]:
    """Who calls, in the headers that forward authentication has for it."""
    owner = {"Owner": quote(asker.owner.id, safe=":"), "Owner-Type": asker.owner.type} if asker.owner else {}
    named = {"Account": str(asker.account), "Token": str(asker.actor.id), **owner}
    return {f"X-Counterfoil-{name}": value for name, value in named.items()}
