"""The whole service as one aiohttp application."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from functools import lru_cache, partial
from importlib.metadata import version
from typing import Annotated, Any, Literal

import msgspec
from aiohttp import web
from msgspec import Meta

from counterfoil.settings import Settings
from counterfoil_api import health
from counterfoil_api.auth.conventions import OURS
from counterfoil_api.auth.principals import need
from counterfoil_api.auth.proof import OWN
from counterfoil_api.dialects import listing
from counterfoil_api.dialects.dialect import Dialect
from counterfoil_api.dialects.register import DIALECTS, client_headers, routes_of, shapes, switched_on
from counterfoil_api.events.streams import Streams
from counterfoil_api.http.addresses import Proxies
from counterfoil_api.http.request_limits import BOUNDS, Bounds
from counterfoil_api.http.requests import outer_layer
from counterfoil_api.http.security_headers import strict_transport
from counterfoil_api.limits.callers import Callers
from counterfoil_api.metrics import observe_request
from counterfoil_api.native.account import (
    account_events,
    accounts,
    attempts_api,
    catalogue,
    opening,
    owner_quotas,
    reads,
)
from counterfoil_api.native.events import operations as events
from counterfoil_api.native.forward_auth import forward, forward_document
from counterfoil_api.native.oauth import introspection, revocation, token_endpoint, wellknown
from counterfoil_api.native.subscriptions import deliveries, subscriptions
from counterfoil_api.native.tokens import (
    alerts,
    bulk,
    exchange,
    forecasts,
    importing,
    issuing,
    leak_reports,
    reading,
    rotations,
    token_lifecycle,
)
from counterfoil_api.native.users import login, user_lifecycle, users
from counterfoil_api.operations.api import Api, Route
from counterfoil_api.operations.conventions import error_format_under
from counterfoil_api.operations.mounting import Mount
from counterfoil_api.operations.openapi import document
from counterfoil_api.operations.services import Services
from counterfoil_api.services import open_services

description = Api("description", OURS)

_PARTS = (
    issuing, importing, bulk, reading, token_lifecycle, rotations, exchange, introspection, alerts, forecasts,
    token_endpoint, revocation, leak_reports,
    accounts, opening, catalogue, owner_quotas, reads, attempts_api, account_events, events,
    users, user_lifecycle, login, subscriptions, deliveries,
    listing, wellknown,
)  # fmt: skip


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """The name and version of the service, and the addresses of its descriptions."""

    name: Literal["Counterfoil"] = "Counterfoil"
    summary: str = "An event-sourced ledger for API tokens, over HTTP, under /v1."
    version: str
    openapi: Annotated[str, Meta(description="Every operation, as OpenAPI 3.1.")]
    health: Annotated[str, Meta(description="Whether the process runs.")]
    readiness: Annotated[str, Meta(description="Whether requests can be answered.")]
    oauth: Annotated[str, Meta(description="The metadata of the OAuth endpoints (RFC 8414).")]


Opening = Callable[[Settings], AbstractAsyncContextManager[Services]]


def make_app(
    settings: Settings, *, opening: Opening | None = None, dialects: tuple[Dialect, ...] = DIALECTS
) -> web.Application:
    """Build the application. It opens its services when it starts, and closes them when it stops.

    It starts without a database, too. It serves the `dialects` that the settings switch on, and recognises the
    tokens of all of them.
    """
    spoken = switched_on(settings.dialects, dialects)
    error_format_of = error_format_under(each.api.conventions for each in spoken)
    outermost = outer_layer(observe_request, Proxies(settings.trusted_proxies).client_of, error_format_of)
    app = web.Application(middlewares=[outermost], client_max_size=settings.max_body_bytes)
    app[BOUNDS] = Bounds(connections=settings.max_connections, request_seconds=settings.request_timeout_seconds)
    app.on_response_prepare.extend(strict_transport(settings.public_url))
    started: list[Services] = []

    async def opened(_: web.Application) -> AsyncIterator[None]:
        async with opening(settings) if opening else open_services(settings, shapes=shapes(dialects)) as services:
            started.append(services)
            callers = services.get(Callers)
            mounting = Mount(services, callers.authenticate, callers.note_forbidden, need)
            mounting.onto(app, routes())
            for dialect in spoken:
                mounting.onto(app, routes_of(dialect))
            wellknown.mount(app, mounting, settings.public_url)
            forward.mount(app, services, (OWN, *client_headers(dialects)))
            yield

    async def stopping(_: web.Application) -> None:
        for services in started:
            services.get(Streams).stop()

    app.cleanup_ctx.append(opened)
    app.on_shutdown.append(stopping)  # before the server waits for requests under way
    return app


def routes() -> list[Route]:
    """Return every operation of the native API, in the order of the document."""
    apis = (*(part.api for part in _PARTS), description, health.api)
    return [route for api in apis for route in api.routes]


@description.get("/", cache="public, max-age=300")
async def get_index(settings: Settings) -> Index:
    """Read the name and version of the service, and where its descriptions are."""
    url = settings.public_url
    return Index(
        version=version("counterfoil"),
        openapi=f"{url}/openapi.json",
        health=f"{url}/healthz",
        readiness=f"{url}/readyz",
        oauth=f"{url}/.well-known/oauth-authorization-server",
    )


@description.get("/openapi.json", cache="public, max-age=300")
async def get_description(settings: Settings) -> dict[str, Any]:
    """Read this document."""
    return _document(settings.public_url)


@lru_cache(maxsize=1)
def _document(url: str) -> dict[str, Any]:
    forwarding = partial(forward_document.paths, pairs=(OWN, *client_headers()))
    return document(routes(), version=version("counterfoil"), url=url, more=(forwarding,))
