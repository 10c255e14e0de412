"""Why a request got no response, or an incomplete one."""

from __future__ import annotations

from dataclasses import dataclass
from errno import ECONNREFUSED
from typing import Final

import aiohttp

CUT_OFF: Final = (TimeoutError, aiohttp.ClientError)
"""Every error that a connection raises."""


@dataclass(frozen=True, slots=True)
class Lost:
    """No response; `doubtful` if the service may have received the request."""

    reason: str
    doubtful: bool
    again: bool = True
    nobody_there: bool = False
    pause_seconds: float = 0.0


def lost(url: str, error: TimeoutError | aiohttp.ClientError) -> Lost:
    """Classify an error of a connection to this address."""
    match error:
        case aiohttp.ClientSSLError():
            return Lost(f"{url} cannot be trusted: {_distrust(error)}", doubtful=False, again=False)
        case aiohttp.ClientConnectorError():
            return _unreached(url, error)
        case aiohttp.ConnectionTimeoutError():
            return Lost(f"{url} cannot be reached: it did not accept a connection in time", doubtful=False)
        case TimeoutError():
            return Lost(f"{url} did not answer in time", doubtful=True)
    return Lost(f"the connection to {url} was cut: {type(error).__name__}", doubtful=True)


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
