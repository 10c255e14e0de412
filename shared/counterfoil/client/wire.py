"""One call over HTTP, tried until it is answered or its time is up."""

from __future__ import annotations

import asyncio
import base64
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from errno import ECONNREFUSED
from typing import Final, Self
from urllib.parse import urlsplit

import aiohttp

from .failures import Failure, OutcomeUnknown, Refused, Unreachable, refused

USER_AGENT: Final = "counterfoil-client"
_AGAIN: Final = frozenset({429, 502, 503, 504})
# The only failures of a server that promise it: whatever else failed, a gateway or we, may have done so afterwards.
_NOTHING_CHANGED: Final = frozenset({"busy", "overloaded"})
_FIRST_PAUSE_SECONDS: Final = 0.1
_LONGEST_PAUSE_SECONDS: Final = 5.0
_CONNECT_SECONDS: Final = 5.0
# RFC 9110 5.5: visible ASCII; a line break would end the header.
_HEADER: Final = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True, repr=False)
class Call:
    """What is asked. `key` is the Idempotency-Key of a change; `changes` says that trying twice could matter.

    `patience_seconds` is for what takes longer than other calls: each try, and all of them together.
    """

    method: str
    path: str
    query: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    body: bytes | None = None
    content_type: str = "application/json"
    if_match: int | None = None
    key: str | None = None
    changes: bool = False
    patience_seconds: float = 0.0

    @property
    def headers(self) -> dict[str, str]:
        """The headers of every try; the same each time."""
        headers = {"Content-Type": self.content_type} if self.body is not None else {}
        if self.key is not None:
            headers["Idempotency-Key"] = self.key
        if self.if_match is not None:
            headers["If-Match"] = f'"{self.if_match}"'
        return headers


@dataclass(frozen=True, slots=True, repr=False)
class Answer:
    """What came back, whole."""

    status: int
    content: bytes
    headers: Mapping[str, str]

    @property
    def refusal(self) -> Refused:
        """The answer as a refusal."""
        return refused(self.status, self.content, self.headers.get("X-Request-Id"))

    @property
    def again(self) -> bool:
        """Whether the same call may fare better later."""
        return self.status in _AGAIN

    @property
    def doubtful(self) -> bool:
        """Whether the call may have been carried out all the same."""
        return self.status >= 500 and self.refusal.name not in _NOTHING_CHANGED

    @property
    def nobody_there(self) -> bool:
        """It was somebody who answered."""
        return False

    @property
    def pause_seconds(self) -> float:
        """How long the service asks to be left alone (RFC 9110 10.2.3: seconds or a date)."""
        text = self.headers.get("Retry-After", "")
        if text.isascii() and text.isdigit():
            return float(text)
        try:
            when = parsedate_to_datetime(text)
        except (ValueError, OverflowError):  # a zone may be beyond what is an integer
            return 0.0
        return max(0.0, (when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


@dataclass(frozen=True, slots=True)
class Lost:
    """No answer; `doubtful` if the request may have arrived."""

    reason: str
    doubtful: bool
    again: bool = True
    nobody_there: bool = False
    pause_seconds: float = 0.0


@dataclass(frozen=True, slots=True, repr=False)
class Password:
    """What somebody logs in with: an e-mail address (outside the first account ACCOUNT/ADDRESS) and a password.

    With a one-time code, if they use them, it is good for one call.
    """

    email: str
    password: str
    code: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        """The password as RFC 7617 has it."""
        pair = base64.b64encode(f"{self.email}:{self.password}".encode()).decode()
        return {"Authorization": f"Basic {pair}"} | ({} if self.code is None else {"X-Authorization-OTP": self.code})


class Wire:
    """Where calls go, and as whom; token and password are in here and show themselves nowhere."""

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
            # The text is not repeated: it may be a token in the wrong place.
            raise ValueError("this is not the address of a ledger; write it like https://ledger.example:8080")
        if isinstance(token, str) and not _HEADER.fullmatch(token):
            raise ValueError("a token has only visible ASCII characters; copy it again, without spaces and line breaks")
        self._url = url.rstrip("/")
        self._headers = {**_asking(token), "User-Agent": USER_AGENT}
        self._timeout_seconds = timeout_seconds
        self._timeout = aiohttp.ClientTimeout(total=try_seconds, connect=min(_CONNECT_SECONDS, try_seconds))
        self._refused_seconds = refused_seconds
        self._session: aiohttp.ClientSession | None = None
        self.trouble = ""
        """Why the latest try got no answer; nothing if it got one."""

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            headers=self._headers, timeout=self._timeout, cookie_jar=aiohttp.DummyCookieJar()
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def ask(self, call: Call) -> Answer:
        """Return a successful answer, or raise a Failure that says whether the call may have been carried out."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        ends = began + max(self._timeout_seconds, call.patience_seconds)
        limit, doubt = _FIRST_PAUSE_SECONDS, False
        while True:
            result = await self._try(call, ends - loop.time())
            self.trouble = result.reason if isinstance(result, Lost) else ""
            if isinstance(result, Answer) and result.status < 300:
                return result
            # Equal jitter: many clients that were cut off together shall not come back together.
            pause = max(result.pause_seconds, random.uniform(limit / 2, limit))  # noqa: S311 - no secret
            doubt = doubt or result.doubtful
            # Nobody is there: that is soon known. A change that may have happened is asked about for longer.
            over = min(ends, began + self._refused_seconds) if result.nobody_there and not doubt else ends
            if not result.again or loop.time() + pause >= over:
                raise _failure(call, result, doubt=doubt)
            limit = min(limit * 2, _LONGEST_PAUSE_SECONDS)
            await asyncio.sleep(pause)

    def _patience(self, call: Call) -> aiohttp.ClientTimeout:
        total = max(self._timeout.total or 0.0, call.patience_seconds)
        return aiohttp.ClientTimeout(total=total, connect=self._timeout.connect)

    async def _try(self, call: Call, left_seconds: float) -> Answer | Lost:
        if self._session is None:
            raise RuntimeError("use the client in `async with`")
        try:
            async with (
                asyncio.timeout(left_seconds),
                self._session.request(
                    call.method,
                    self._url + call.path,
                    params=call.query,
                    data=call.body,
                    headers=call.headers,
                    timeout=self._patience(call),
                    allow_redirects=False,  # the token goes where it was sent, and nowhere else
                ) as response,
            ):
                return Answer(response.status, await response.read(), response.headers)
        except aiohttp.ClientSSLError as error:
            return Lost(f"{self._url} cannot be trusted: {_distrust(error)}", doubtful=False, again=False)
        except aiohttp.ClientConnectorError as error:
            return _unreached(self._url, error)
        except aiohttp.ConnectionTimeoutError:
            return Lost(f"{self._url} cannot be reached: it did not accept a connection in time", doubtful=False)
        except TimeoutError:
            return Lost(f"{self._url} did not answer in time", doubtful=True)
        except aiohttp.ClientError as error:
            return Lost(f"the connection to {self._url} was cut: {type(error).__name__}", doubtful=True)


def _asking(token: str | Password | None) -> dict[str, str]:
    if token is None:
        return {}
    return {"Authorization": f"Bearer {token}"} if isinstance(token, str) else token.headers


def _distrust(error: aiohttp.ClientSSLError) -> str:
    cause = getattr(error, "certificate_error", error)
    return getattr(cause, "verify_message", "") or getattr(cause, "reason", None) or "there is no TLS"


def _unreached(url: str, error: aiohttp.ClientConnectorError) -> Lost:
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        reason, nobody = f"no address is known for {error.host}", True
    elif error.errno == ECONNREFUSED:
        reason, nobody = f"nothing listens at {error.host} port {error.port}", True
    else:
        reason, nobody = error.strerror or "the connection failed", False
    return Lost(f"{url} cannot be reached: {reason}", doubtful=False, nobody_there=nobody)


def _failure(call: Call, result: Answer | Lost, *, doubt: bool) -> Failure:
    refusal = result.refusal if isinstance(result, Answer) else None
    reason = _reason(refusal) if refusal else result.reason if isinstance(result, Lost) else ""
    if call.changes and (result.doubtful or (doubt and (refusal is None or _inconclusive(result)))):
        return OutcomeUnknown(reason, call.key)
    return refusal or Unreachable(reason)


def _reason(refusal: Refused) -> str:
    request = f", request {refusal.request_id}" if refusal.request_id else ""
    return f"{refusal} (HTTP {refusal.status}{request})"


def _inconclusive(result: Answer | Lost) -> bool:
    """Say whether an answer leaves open what became of an earlier try that was cut off.

    That try itself may be why the secret is refused now, or why the revision moved.
    """
    return isinstance(result, Answer) and (result.again or result.status in {401, 412})
