"""The paths of service tokens; their parts name an account, a zone of it, and a service token."""

import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final, TypeVar

from counterfoil.core.principal import Owner, Principal
from counterfoil.core.refusals import Refuses
from counterfoil_api.dialects.cloudflare.api import api
from counterfoil_api.dialects.tokens import Tokens
from counterfoil_api.http.errors import NoSuchPath
from counterfoil_api.operations.reading import path_type

Handler = TypeVar("Handler", bound=Callable[..., Awaitable[object]])

ACCOUNT: Final = "/accounts/{account_id}/access/service_tokens"
ZONE: Final = "/zones/{zone_id}/access/service_tokens"
ONE: Final = "/{service_token_id}"

_HEX: Final = re.compile(r"[0-9a-fA-F]{32}")
AccountId = Annotated[
    str,
    path_type(
        "The id of the account, with dashes or without.", "^[0-9a-fA-F-]{32,36}$", "699d98642c564d2e855e9661899b7252"
    ),
    Refuses((NoSuchPath,)),
]
ZoneId = Annotated[
    str, path_type("The id of a zone.", f"^{_HEX.pattern}$", "023e105f4ecef8ad9ca31a8372d0c353"), Refuses((NoSuchPath,))
]


def of_both(method: str, path: str = "", **options: Any) -> Callable[[Handler], Handler]:  # noqa: ANN401 - see `Api`
    """Declare an operation on the paths of an account and of a zone."""

    def declare(call: Handler) -> Handler:
        api.route(method, f"{ZONE}{path}", name=f"{call.__name__}_of_zone", **options)(call)
        return api.route(method, f"{ACCOUNT}{path}", **options)(call)

    return declare


async def zone_of(tokens: Tokens, caller: Principal, account_id: str, zone_id: str) -> Owner | None:
    """Return the named zone, which is an owner that has or had a token; None for the whole account.

    Raises NoSuchPath.
    """
    if not zone_id:
        require_own(caller, account_id)
        return None
    zone = Owner("service", zone_id.lower())
    if not _HEX.fullmatch(zone_id) or not await tokens.owners.known(caller.account, zone):
        raise NoSuchPath
    return zone


def require_own(caller: Principal, account_id: str) -> None:
    """Refuse every account but the caller's. Nobody learns whether another one exists. Raises NoSuchPath."""
    if account_id.lower() not in (str(caller.account), caller.account.hex):
        raise NoSuchPath
