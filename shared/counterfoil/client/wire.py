"""One call over HTTP, repeated until a response arrives or its time is up."""

from __future__ import annotations

import asyncio
import base64
import math
import random
import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, Self
from urllib.parse import urlsplit

import aiohttp

from counterfoil.client.expiry import TokenExpiry, expiry_in
from counterfoil.client.failures import Failure, OutcomeUnknown, Refused, Unreachable, refused
from counterfoil.client.losses import CUT_OFF, Lost, lost

USER_AGENT: Final = "counterfoil-client"
_AGAIN: Final = frozenset({429, 502, 503, 504})
# The only failures of a server that promise it: whatever else failed, a gateway or we, may have done so afterwards.
_NOTHING_CHANGED: Final = frozenset({"busy", "overloaded"})
_FIRST_PAUSE_SECONDS: Final = 0.1
_LONGEST_PAUSE_SECONDS: Final = 5.0
_LONGEST_WAIT_SECONDS: Final = 60.0
"""The longest Retry-After that a call without a deadline obeys."""
_CONNECT_SECONDS: Final = 5.0
# RFC 9110 5.5: visible ASCII; a line break would end the header.
_HEADER: Final = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True, repr=False)
class Call:
    """A request. `key` is the Idempotency-Key of a change; `changes` says that a second try could have an effect.

    `patience_seconds` is the least time for each try and for all tries of a slow call.
    """

    method: str
    path: str
    query: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    body: bytes | None = None
    content_type: str = "application/json"
    extra: Mapping[str, str] = field(default_factory=dict)
    if_match: int | None = None
    key: str | None = None
    changes: bool = False
    patience_seconds: float = 0.0

    @property
    def headers(self) -> dict[str, str]:
        """The headers of every try; the same each time."""
        headers = {"Content-Type": self.content_type, **self.extra} if self.body is not None else {**self.extra}
        if self.key is not None:
            headers["Idempotency-Key"] = self.key
        if self.if_match is not None:
            headers["If-Match"] = f'"{self.if_match}"'
        return headers


@dataclass(frozen=True, slots=True, repr=False)
class Answer:
    """A complete response."""

    status: int
    content: bytes
    headers: Mapping[str, str]

    @property
    def refusal(self) -> Refused:
        """The answer as a refusal."""
        return refused(self.status, self.content, self.headers.get("X-Request-Id"))

    @property
    def again(self) -> bool:
        """Whether the same call may succeed later."""
        return self.status in _AGAIN

    @property
    def doubtful(self) -> bool:
        """Whether the service may have carried out the call although it answered with an error."""
        return self.status >= 500 and self.refusal.name not in _NOTHING_CHANGED

    @property
    def nobody_there(self) -> bool:
        """Whether nothing listens at the address; an answer proves otherwise."""
        return False

    @property
    def pause_seconds(self) -> float:
        """The pause that Retry-After asks for (RFC 9110 10.2.3: seconds or a date)."""
        text = self.headers.get("Retry-After", "")
        if text.isascii() and text.isdigit():
            return float(text)
        try:
            when = parsedate_to_datetime(text)
        except (ValueError, OverflowError):  # the time zone may be out of range
            return 0.0
        return max(0.0, (when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


@dataclass(frozen=True, slots=True, repr=False)
class Password:
    """A login: an e-mail address (outside the first account ACCOUNT/ADDRESS) and a password.

    A user with one-time codes adds a `code`; it is valid for one call.
    """

    email: str
    password: str
    code: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        """The headers of Basic authentication (RFC 7617), and of the one-time code."""
        pair = base64.b64encode(f"{self.email}:{self.password}".encode()).decode()
        return {"Authorization": f"Basic {pair}"} | ({} if self.code is None else {"X-Authorization-OTP": self.code})


class Tries:
    """The tries of one call: the pause before the next one, and when to give up (`math.inf`: never)."""

    def __init__(self, seconds: float, refused_seconds: float) -> None:
        self._now = asyncio.get_running_loop().time
        self._ends = self._now() + seconds
        self._refused_ends = self._now() + refused_seconds
        self._limit = _FIRST_PAUSE_SECONDS

    @property
    def left_seconds(self) -> float:
        """The time that is left for the next try."""
        return self._ends - self._now()

    def pause(self, result: Answer | Lost, *, doubt: bool = False) -> float | None:
        """Return how long to wait before the next try; None to give up."""
        # Equal jitter: many clients that lost their connection at once must not return at once.
        pause = max(result.pause_seconds, random.uniform(self._limit / 2, self._limit))  # noqa: S311 - no secret
        if self._ends == math.inf:
            pause = min(pause, _LONGEST_WAIT_SECONDS)
        # If nothing listens, give up soon, unless a change may have happened: then its outcome matters.
        over = min(self._ends, self._refused_ends) if result.nobody_there and not doubt else self._ends
        if not result.again or self._now() + pause >= over:
            return None
        self._limit = min(self._limit * 2, _LONGEST_PAUSE_SECONDS)
        return pause


class Wire:
    """The connection to a service, and the credentials, which this object does not print."""

    def __init__(
        self,
        url: str,
        token: str | Password | None,
        *,
        timeout_seconds: float,
        try_seconds: float,
        refused_seconds: float,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
            # The message omits the text: it may be a token in the wrong place.
            raise ValueError("this is not the address of a ledger; write it like https://ledger.example:8080")
        if isinstance(token, str) and not _HEADER.fullmatch(token):
            raise ValueError("a token has only visible ASCII characters; copy it again, without spaces and line breaks")
        self.url = url.rstrip("/")
        self._headers = {**_authorization(token), "User-Agent": USER_AGENT}
        self.timeout_seconds = timeout_seconds
        self.try_seconds = try_seconds
        self.connect_seconds = min(_CONNECT_SECONDS, try_seconds)
        self.refused_seconds = refused_seconds
        self._session: aiohttp.ClientSession | None = None
        self.trouble = ""
        """Why the latest try got no answer; empty if it got one."""
        self.expiry: TokenExpiry | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(headers=self._headers, cookie_jar=aiohttp.DummyCookieJar())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def ask(self, call: Call) -> Answer:
        """Return a successful answer, or raise a Failure that says whether the call may have been carried out."""
        tries = Tries(max(self.timeout_seconds, call.patience_seconds), self.refused_seconds)
        doubt = False
        while True:
            result = await self._try(call, tries.left_seconds)
            self.trouble = result.reason if isinstance(result, Lost) else ""
            if isinstance(result, Answer) and result.status < 300:
                return result
            doubt = doubt or result.doubtful
            if (pause := tries.pause(result, doubt=doubt)) is None:
                raise failure(call, result, doubt=doubt)
            await asyncio.sleep(pause)

    def note_expiry(self, status: int, headers: Mapping[str, str]) -> None:
        """Keep what an answer says about the end of the token; a failure on the way says nothing about it."""
        said = expiry_in(headers)
        if said is not None or status < 300:
            self.expiry = said

    def _patience(self, call: Call) -> aiohttp.ClientTimeout:
        return aiohttp.ClientTimeout(total=max(self.try_seconds, call.patience_seconds), connect=self.connect_seconds)

    def request(
        self, call: Call, timeout: aiohttp.ClientTimeout
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """Send a call once; raises the errors in `losses.CUT_OFF`."""
        if self._session is None:
            raise RuntimeError("use the client in `async with`")
        return self._session.request(
            call.method,
            self.url + call.path,
            params=call.query,
            data=call.body,
            headers=call.headers,
            timeout=timeout,
            allow_redirects=False,  # a redirect must not receive the token
        )

    async def _try(self, call: Call, left_seconds: float) -> Answer | Lost:
        try:
            async with asyncio.timeout(left_seconds), self.request(call, self._patience(call)) as response:
                self.note_expiry(response.status, response.headers)
                return Answer(response.status, await response.read(), response.headers)
        except CUT_OFF as error:
            return lost(self.url, error)


def _authorization(token: str | Password | None) -> dict[str, str]:
    if token is None:
        return {}
    return {"Authorization": f"Bearer {token}"} if isinstance(token, str) else token.headers


def failure(call: Call, result: Answer | Lost, *, doubt: bool = False) -> Failure:
    """Return the failure to raise for a call that is not tried again."""
    refusal = result.refusal if isinstance(result, Answer) else None
    reason = _reason(refusal) if refusal else result.reason if isinstance(result, Lost) else ""
    if call.changes and (result.doubtful or (doubt and (refusal is None or _inconclusive(result)))):
        return OutcomeUnknown(reason, call.key)
    return refusal or Unreachable(reason)


def _reason(refusal: Refused) -> str:
    request = f", request {refusal.request_id}" if refusal.request_id else ""
    return f"{refusal} (HTTP {refusal.status}{request})"


def _inconclusive(result: Answer | Lost) -> bool:
    """Return whether the result leaves open if an earlier, interrupted try succeeded.

    That try may be the reason that the secret is now refused, or that the revision differs.
    """
    return isinstance(result, Answer) and (result.again or result.status in {401, 412})
