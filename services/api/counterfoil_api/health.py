"""The state of the service: liveness, readiness, and metrics."""

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
from counterfoil.uses.verify import Verifying
from counterfoil_api.auth.conventions import OURS
from counterfoil_api.auth.credentials import PresentedCredentials
from counterfoil_api.census import Census
from counterfoil_api.handling.reading import Reading
from counterfoil_api.handling.writing import Writing
from counterfoil_api.http.errors import CredentialsMissing
from counterfoil_api.limits.limits import Limits
from counterfoil_api.metrics import exposition, gauge
from counterfoil_api.operations.api import Api
from counterfoil_api.operations.reading import OptionalCredentials
from counterfoil_api.operations.replies import Page

api = Api("health", OURS)

_PATIENCE_SECONDS = 3.0


class Health(msgspec.Struct, frozen=True):
    """Whether the process runs."""

    status: Literal["alive"]


class Readiness(msgspec.Struct, frozen=True):
    """Readiness, whether all processes count limits together at this moment, and warnings."""

    status: Literal["ready"]
    limits: Literal["shared", "this process alone"]
    warnings: list[str]
    """What an operator should look into although requests are answered, such as a sealer that does not run."""


@api.get("/healthz")
async def get_liveness() -> Health:
    """Check whether the process runs; the answer depends on nothing else."""
    return Health("alive")


@api.get("/readyz", refusals=(Overloaded, Misconfigured))
async def get_readiness(reading: Reading, verifying: Verifying, limits: Limits) -> Readiness:
    """Check whether requests can be answered: the database responds and the keys are loaded.

    The service is ready also while each process counts limits alone because Valkey does not respond, and while the log
    is not sealed; a warning reports the latter.
    """
    async with asyncio.timeout(_PATIENCE_SECONDS):
        await liveness.ask(reading.pool)
        await verifying.keys.ring()
        await verifying.pepper_sync.ensure_fresh()
        await reading.default_account.id()
        warnings = (await log_state(reading.pool)).warnings
    return Readiness("ready", "shared" if limits.counters.shared else "this process alone", warnings)


def _require(password: str | None, presented: PresentedCredentials | None) -> None:
    """Refuse a caller without the password, if there is one."""
    if password is None:
        return
    if presented is None:
        raise CredentialsMissing
    match presented.credentials:
        case SecretGiven(text) | BearerGiven(text) if compare_digest(text.encode(), password.encode()):
            return
    raise CredentialsRefused


@api.get("/metrics", refusals=(CredentialsMissing,))
async def get_metrics(
    writing: Writing, settings: Settings, census: Census, presented: OptionalCredentials[PresentedCredentials]
) -> Page:
    """Read the metrics in the format of Prometheus.

    They cover all accounts, so they need no credentials of one account. If the operator has set METRICS_TOKEN, it is
    the bearer token to present.
    """
    _require(settings.metrics_token, presented)
    gauge(writing.door, writing.reading.pool)
    await census.refresh()
    several = settings.prometheus_multiproc_dir is not None
    return Page(exposition(census, several_processes=several), CONTENT_TYPE_LATEST)
