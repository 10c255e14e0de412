"""Fetches the keys of an issuer: OpenID Connect Discovery 1.0, section 4, under the rules of egress."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import structlog

from counterfoil.uses.egress import Egress, EgressFailed
from counterfoil_api.auth.issuers.keys import KeySet, key_set_of
from counterfoil_api.auth.issuers.strict_json import decoded
from counterfoil_api.metrics import ISSUER_FETCHES

log = structlog.get_logger()

_WELL_KNOWN: Final = "/.well-known/openid-configuration"


class KeysNotFetched(Exception):  # noqa: N818 - named like the refusals
    """The issuer did not return its keys; the log has the reason."""


@dataclass(frozen=True, slots=True)
class FetchedKeys:
    """The keys of an issuer, and the seconds for which it lets others keep them, if it states any."""

    keys: KeySet
    max_age: int | None


async def fetched_keys(egress: Egress, issuer: str) -> FetchedKeys:
    """Request the keys of an issuer, or raise KeysNotFetched; both results are counted and logged."""
    try:
        found = await _requested(egress, issuer)
    except EgressFailed as failure:
        outcome, why = str(failure.reason), str(failure)
    except ValueError as error:
        outcome, why = "content", f"{error}."
    else:
        ISSUER_FETCHES.labels("fetched").inc()
        log.info("issuer_keys_fetched", issuer=issuer, keys=len(found.keys.keys))
        return found
    ISSUER_FETCHES.labels(outcome).inc()
    log.warning("issuer_keys_not_fetched", issuer=issuer, reason=outcome, why=why)
    raise KeysNotFetched


async def _requested(egress: Egress, issuer: str) -> FetchedKeys:
    metadata = _configuration((await egress.get(issuer.removesuffix("/") + _WELL_KNOWN)).content)
    if metadata.get("issuer") != issuer:
        raise ValueError("The configuration is that of another issuer: its member issuer has to be exactly this one")
    where = metadata.get("jwks_uri")
    if not isinstance(where, str):
        raise ValueError("The configuration has no jwks_uri")  # noqa: TRY004 - what is wrong is its text
    reply = await egress.get(where)
    try:
        keys = key_set_of(reply.content)
    except ValueError as error:
        raise ValueError(f"The keys cannot be read: {error}") from None
    return FetchedKeys(keys, reply.max_age)


def _configuration(content: bytes) -> Mapping[str, object]:
    try:
        return decoded(content)
    except ValueError as error:
        raise ValueError(f"The configuration cannot be read: {error}") from None
