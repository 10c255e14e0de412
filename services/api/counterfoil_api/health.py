"""How the service is: alive, ready, and in numbers."""

import asyncio
from hmac import compare_digest
from typing import Literal

import msgspec
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from counterfoil.core.credentials import BearerGiven, SecretGiven
from counterfoil.core.refusals import CredentialsRefused, Misconfigured, Overloaded
from counterfoil.postgres import liveness
from counterfoil.postgres.log_state import log_state
from counterfoil.settings import Settings
from counterfoil.uses.verify import Sources
from counterfoil_api.auth.conventions import OURS
from counterfoil_api.auth.credentials import PresentedCredentials
from counterfoil_api.handling.reading import Reading
from counterfoil_api.handling.writing import Writing
from counterfoil_api.http.errors import CredentialsMissing
from counterfoil_api.limits.limits import Limits
from counterfoil_api.metrics import Census, exposition, gauge
from counterfoil_api.operations.api import Api
from counterfoil_api.operations.reading import OptionalCredentials
from counterfoil_api.operations.replies import Page

api = Api("health", OURS)

_PATIENCE_SECONDS = 3.0


class Health(msgspec.Struct, frozen=True):
    """One word."""

    status: Literal["alive"]


class Readiness(msgspec.Struct, frozen=True):
    """Ready; whether limits are counted together with the other processes at this moment; and what to look at."""

    status: Literal["ready"]
    limits: Literal["shared", "this process alone"]
    warnings: list[str]
    """What somebody should see to, though requests are answered: such as a sealer that does not run."""


@api.get("/healthz")
async def get_liveness() -> Health:
    """Learn whether the process lives; it says so without asking anybody."""
    return Health("alive")


@api.get("/readyz", refusals=(Overloaded, Misconfigured))
async def get_readiness(reading: Reading, sources: Sources, limits: Limits) -> Readiness:
    """Learn whether requests would be answered: the database is there and the keys are read.

    Limits that each process counts alone, for want of a Valkey, are no reason not to be ready; nor is a log that is not
    being sealed, of which a warning tells.
    """
    async with asyncio.timeout(_PATIENCE_SECONDS):
        await liveness.ask(reading.pool)
        await sources.keys.ring()
        await sources.pepper_sync.ensure_fresh()
        await reading.default_account.id()
        warnings = (await log_state(reading.pool)).warnings
    return Readiness("ready", "shared" if limits.tally.shared else "this process alone", warnings)


def _expect(password: str | None, approach: PresentedCredentials | None) -> None:
    """Refuse whoever does not bring the password, where there is one."""
    if password is None:
        return
    if approach is None:
        raise CredentialsMissing
    match approach.credentials:
        case SecretGiven(text) | BearerGiven(text) if compare_digest(text.encode(), password.encode()):
            return
    raise CredentialsRefused


@api.get("/metrics", refusals=(CredentialsMissing,))
async def get_metrics(
    reading: Reading,
    writing: Writing,
    settings: Settings,
    census: Census,
    approach: OptionalCredentials[PresentedCredentials],
) -> Page:
    """Read the numbers, for Prometheus.

    They speak of all accounts, so that no credentials of one are asked for. Where the operator has set METRICS_TOKEN,
    that is the bearer token to present.
    """
    _expect(settings.metrics_token, approach)
    gauge(writing.door, reading.pool)
    await census.refresh()
    several = settings.prometheus_multiproc_dir is not None
    return Page(exposition(census, several_processes=several), CONTENT_TYPE_LATEST)
