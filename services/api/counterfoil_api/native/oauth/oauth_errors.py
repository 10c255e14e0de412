"""The error format of OAuth's own endpoints: RFC 6749 5.2 and RFC 7009 2.2.1."""

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

import msgspec
from aiohttp import web
from multidict import CIMultiDict

from counterfoil.core import refusals
from counterfoil.core.refusals import Refusal
from counterfoil_api.http import errors
from counterfoil_api.http.challenges import BASIC
from counterfoil_api.http.problems import KINDS, Kind, challenge, kind_of, scrubbed

# RFC 6749 5.2: characters that an error_description may not hold.
_UNFIT: Final = re.compile(r"[^\x20\x21\x23-\x5b\x5d-\x7e]")
_ERRORS: Final[Mapping[type[Refusal], str]] = MappingProxyType(
    {
        errors.UnsupportedGrantType: "unsupported_grant_type",
        errors.UnsupportedTokenType: "unsupported_token_type",
        errors.TargetRefused: "invalid_target",
        refusals.BeyondAudience: "invalid_target",
        refusals.BadScope: "invalid_scope",
        refusals.BeyondCaller: "invalid_scope",
        refusals.ScopeMissing: "insufficient_scope",
    }
)
_BY_STATUS: Final[Mapping[int, str]] = MappingProxyType(
    {401: "invalid_client", 403: "access_denied", 429: "temporarily_unavailable", 500: "server_error"}
    | {503: "temporarily_unavailable"}
)
_AS_400: Final = frozenset({refusals.BeyondAudience, refusals.BeyondCaller})


class OAuthError(msgspec.Struct, frozen=True):
    """An error: its registered name and its description."""

    error: str
    error_description: str


class OAuthErrorFormat:
    """Renders refusals as OAuth errors."""

    media_type = "application/json"
    shape: type = OAuthError
    headers: Mapping[str, str] = MappingProxyType({"Pragma": "no-cache"})  # RFC 6749 5.1

    def response(self, refusal: Refusal) -> web.Response:
        kind = kind_of(refusal)
        headers = CIMultiDict({"Content-Type": self.media_type, "Cache-Control": "no-store", **self.headers})
        headers.update({name: value for name, value in kind.headers if name != "WWW-Authenticate"})
        if kind.status == 401:  # Basic comes first, since every client has an id and a secret
            headers.add("WWW-Authenticate", BASIC)
        if kind.status == 401 or isinstance(refusal, refusals.ScopeMissing):
            headers.add("WWW-Authenticate", challenge(refusal))
        if "retry_after" in refusal.facts:
            headers["Retry-After"] = str(refusal.facts["retry_after"])
        body = msgspec.json.encode(_error(refusal, kind))
        return web.Response(body=body, status=_status(type(refusal), kind), headers=headers)

    def examples(self, kinds: Iterable[type[Refusal]]) -> Mapping[int, Mapping[str, object]]:
        """Return examples of these refusals, by status and name."""
        found: dict[int, dict[str, object]] = {}
        for each in kinds:
            kind = KINDS[each]
            found.setdefault(_status(each, kind), {})[kind.name] = msgspec.to_builtins(_error(each(), kind))
        return found


OAUTH: Final = OAuthErrorFormat()


def _error(refusal: Refusal, kind: Kind) -> OAuthError:
    name = _ERRORS.get(type(refusal)) or _BY_STATUS.get(kind.status, "invalid_request")
    return OAuthError(name, _UNFIT.sub("'", str(scrubbed(refusal.detail))))


def _status(refusal: type[Refusal], kind: Kind) -> int:
    """RFC 6749 5.2: 400 for every fault of a request that could be read."""
    return 400 if kind.status == 422 or refusal in _AS_400 else kind.status
