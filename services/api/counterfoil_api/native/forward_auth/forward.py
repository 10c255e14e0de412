"""Forward authentication: a proxy asks about each request that it holds, and then lets it pass or not.

nginx `auth_request`, Traefik `forwardAuth` and Envoy `ext_authz` send the request's headers here under any method and
understand three answers: 200, 401 and 403. Everything else is therefore a 403 with its reason, an outage included.
"""

from contextlib import suppress
from datetime import UTC
from functools import partial
from urllib.parse import quote

from aiohttp import web

from counterfoil.core.refusals import Refusal, ScopeMissing
from counterfoil.core.scopes import missing
from counterfoil.uses.verify import Found, refuse_audience, refuse_networks, verified
from counterfoil_api.auth.credentials import PresentedCredentials
from counterfoil_api.auth.proof import PairNames, Proof, proof_of
from counterfoil_api.auth.token_headers import add_expiry_headers
from counterfoil_api.http.addresses import client_of, network_of
from counterfoil_api.http.errors import NotVerified, ProxyMisconfigured
from counterfoil_api.http.problems import kind_of
from counterfoil_api.http.request_limits import in_time
from counterfoil_api.http.requests import refusal_of
from counterfoil_api.limits.callers import Callers
from counterfoil_api.native.forward_auth.demand import PATH, Demand, demand_of
from counterfoil_api.operations.replies import NO_STORE
from counterfoil_api.operations.services import Services

_NAMES = ("Account", "Token", "Owner", "Owner-Type", "Actor", "Scopes", "Expires")
IDENTITY = tuple(f"X-Counterfoil-{name}" for name in _NAMES)
"""The headers of a 200. Each reply has all of them, so that a proxy overwrites those that its client sent."""

_PATIENCE_SECONDS = 4.0  # a little less than proxies wait, so that the reason reaches the client
_VISIBLE = "".join(map(chr, range(0x21, 0x7F))).replace("%", "")
_LONGEST_SCOPES = 2_048  # fits every proxy's buffer; a thousand scopes would take 128 kB


def mount(app: web.Application, services: Services, pairs: tuple[PairNames, ...]) -> None:
    """Serve every method, at the path itself and at any path that a proxy appends to it.

    `pairs` are the names of headers that may hold a client id and its secret.
    """
    answer = partial(_answer, services.get(Callers), pairs)
    for path in (PATH, f"{PATH}/{{original:(?s:.*)}}"):
        app.router.add_route("*", path, answer, expect_handler=_expect_nothing)


async def _answer(callers: Callers, pairs: tuple[PairNames, ...], request: web.Request) -> web.StreamResponse:
    try:
        async with in_time(_PATIENCE_SECONDS, changes=False):
            demand = await _demanded(callers, request, pairs)
            presented = PresentedCredentials(proof := proof_of(request.headers, pairs), address=client_of(request))
            found = await _verified(callers, demand, proof, presented)
    except Exception as error:  # noqa: BLE001 - no error lets a request pass
        raise _denial(error) from None
    return web.Response(headers={"Cache-Control": NO_STORE, **_identity(demand, found)})


async def _expect_nothing(_: web.Request) -> None:
    """Never ask the client for a body, even if it sends Expect."""


def _denial(error: Exception) -> Refusal:
    """Return the refusal with one of the two statuses that a proxy passes on."""
    refusal = refusal_of(error)
    kind = kind_of(refusal)
    if kind.status in (401, 403):
        return refusal
    later = {name: fact for name, fact in refusal.facts.items() if name == "retry_after"}
    return NotVerified(reason=kind.name, **later)


async def _demanded(callers: Callers, request: web.Request, pairs: tuple[PairNames, ...]) -> Demand:
    """Read the proxy's demand; if it is unreadable, refuse, but count the use of good credentials all the same."""
    try:
        return demand_of(request.raw_path)
    except ProxyMisconfigured:
        with suppress(Refusal):
            await callers.judge(PresentedCredentials(proof_of(request.headers, pairs), address=client_of(request)))
        raise


async def _verified(callers: Callers, demand: Demand, proof: Proof, presented: PresentedCredentials) -> Found:
    """Verify the credentials, count their use, and refuse them if they do not meet the demand."""

    async def check() -> Found:
        used_from = network_of(presented.address)
        found = await verified(callers.verifying, proof, account=demand.account, used_from=used_from)
        refuse_audience(found, demand.audience or callers.url)
        await refuse_networks(callers.verifying, found, presented.address)
        return found

    limits = callers.limits
    found = await limits.guard.over(presented, check, account=demand.account)
    add_expiry_headers(found)
    seen = found.seen
    await limits.allowance.spend_by_token(seen.account, seen.id, seen.context.limits(seen.bounds), presented.address)
    if missing(found.scopes, demand.scopes):
        scopes = " ".join(demand.scopes)
        raise ScopeMissing(f"This needs the scope {scopes}.", scope=scopes)
    return found


def _identity(demand: Demand, found: Found) -> dict[str, str]:
    seen, scopes = found.seen, " ".join(found.scopes)
    values = (
        str(seen.account),
        str(seen.id),
        quote(seen.owner.id, safe=_VISIBLE),
        seen.owner.type,
        str(found.act.client_id if found.act else ""),
        scopes if len(scopes) <= _LONGEST_SCOPES else " ".join(demand.scopes),
        f"{found.until.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if found.until else "",
    )
    return dict(zip(IDENTITY, values, strict=True))
