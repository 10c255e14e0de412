"""Reports of leaked secrets: the API revokes the tokens without a login, and does not say which secrets were good."""

import asyncio
from typing import Annotated, Final

import msgspec
import structlog
from msgspec import Meta

from counterfoil.core.principal import NIL, SYSTEM
from counterfoil.settings import Settings
from counterfoil.uses.verify import Verifying
from counterfoil_api.auth.conventions import OURS
from counterfoil_api.handling.writing import Writing
from counterfoil_api.http.addresses import network_of
from counterfoil_api.http.errors import InvalidRequest, RateLimited
from counterfoil_api.limits.limits import Limits
from counterfoil_api.limits.quotas import Quota
from counterfoil_api.native.tokens.revoke_by_secret import end_all
from counterfoil_api.operations.api import Api
from counterfoil_api.operations.reading import Body, ClientAddress
from counterfoil_api.operations.replies import Accepted

log = structlog.get_logger()
api = Api("leaks", OURS)

MOST: Final = 1_000
_LONGEST_BODY: Final = 2 * 1024 * 1024
BEAT_SECONDS: Final = 0.5
_IN_A_BEAT: Final = 250
"""How many tokens are revoked within a beat. Answers are sent on a beat, so that their time reveals nothing."""
_REASON: Final = "Its secret was reported as leaked."


class Finding(msgspec.Struct, frozen=True):
    """A secret as secret scanners report it; we neither use nor store the other fields."""

    token: Annotated[str, Meta(max_length=4_096)]
    type: str = ""
    url: str = ""
    source: str = ""


class Report(msgspec.Struct, frozen=True):
    """How many secrets the report had."""

    received: int


Found = Annotated[str, Meta(max_length=4_096)] | Finding


@api.post("/v1/leak-reports", longest_body=_LONGEST_BODY, refusals=(RateLimited,), example=["cfl_service_4dQp…"])
async def report_leaks(
    writing: Writing, verifying: Verifying, limits: Limits, settings: Settings, address: ClientAddress, *,
    body: Body[list[Found]],
) -> Accepted[Report]:  # fmt: skip
    """Report up to 1,000 leaked secrets; every token that one of them opens is revoked.

    It takes no login: the holder of a secret could do worse with it. The answer comes when all tokens are revoked, and
    does not depend on what there was to revoke. A secret that a rotation replaced revokes nothing; nor does a bearer,
    which its receivers hold rightly. Elements are secrets, or objects with a `token` as secret scanners send them.
    """
    if len(body) > MOST:
        raise InvalidRequest(
            f"A report may have at most {MOST:,} secrets; send the others in another report.", where="body"
        )
    await _spend(limits, settings, network_of(address))
    loop = asyncio.get_running_loop()
    began = loop.time()
    secrets = frozenset(each.token if isinstance(each, Finding) else each for each in body)
    ended = await end_all(writing, verifying, secrets, by=SYSTEM, reason=_REASON)
    log.info("leaks_reported", received=len(body), ended=ended)
    await asyncio.sleep(until_beat(loop.time() - began, len(body)))
    return Accepted(Report(len(body)))


def until_beat(elapsed_seconds: float, reported: int) -> float:
    """Return how long the answer waits: until the beat by which so many tokens can be revoked, or until the next beat.

    The wait is never zero: the clock of a busy loop may stand still, and an immediate answer would reveal something.
    """
    least = BEAT_SECONDS * (1 + reported // _IN_A_BEAT)
    return max(least - elapsed_seconds, BEAT_SECONDS - elapsed_seconds % BEAT_SECONDS)


async def _spend(limits: Limits, settings: Settings, network: str) -> None:
    """Count a report of this network, or refuse it."""
    if settings.leak_report_limit is None:
        return
    left = await limits.quotas.take(f"leak-reports:{network}", Quota(*settings.leak_report_limit))
    if not left.granted:
        limits.attempts.note(NIL, "rate-limited", network=network)
        raise RateLimited(
            "Your network sent too many reports; wait as long as Retry-After says.", retry_after=left.whole_seconds
        )
