"""How one API speaks HTTP: where it is, how it says yes and no, and how its callers show who they are.

Our own conventions are `OURS`. An API of a vendor has those that the vendor's clients expect.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from aiohttp import web

from counterfoil_api.auth.credentials import PresentedCredentials, approach_of
from counterfoil_api.http.problems import ErrorFormat
from counterfoil_api.operations.retries import Retry, by_key

Credentials = Callable[[web.Request, bytes], PresentedCredentials]
"""Reads who asks from a request and the bytes of its body."""
Retries = Callable[[web.Request, bytes], Retry | None]
"""Reads what makes a request the repeat of an earlier one."""

SCHEMES: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "token": {
            "type": "http",
            "scheme": "bearer",
            "description": "A token's secret, or the bearer that it was exchanged for.",
        },
        "password": {
            "type": "http",
            "scheme": "basic",
            "description": "A user's e-mail address and password, and their one-time code as X-Authorization-OTP. "
            "The address is looked up in the installation's first account, or in the one whose id is named before it: "
            "ACCOUNT/ADDRESS. Or an empty user with a token's secret as the password.",
        },
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conventions:
    """The conventions of one API.

    `prefix` comes before each of its paths. `spelling` is how it refuses; without one in problem documents. `envelope`
    is a generic struct whose field `result` holds what a handler returned. `lenient` ignores query parameters that
    are not known; `any_media_type` reads a JSON body whatever its Content-Type says. `schemes` are the security
    schemes of its OpenAPI document.
    """

    prefix: str = ""
    spelling: ErrorFormat | None = None
    envelope: type | None = None
    credentials: Credentials = lambda request, _: approach_of(request)
    retry: Retries = by_key
    lenient: bool = False
    any_media_type: bool = False
    schemes: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: SCHEMES)


OURS: Final = Conventions()
