"""A change and its answer, given once, and under an Idempotency-Key the very same again."""

from collections.abc import Callable
from typing import TypeVar

import msgspec

from counterfoil.commands import TokenCommand
from counterfoil.fold import Outcome, Together
from counterfoil.idempotency import claim
from counterfoil.subjects.small import SubjectCommand
from counterfoil_api.ledger import Ledger
from counterfoil_api.typed.reading import Retry
from counterfoil_api.typed.replies import encode

T = TypeVar("T")


async def answered(
    ledger: Ledger,
    command: TokenCommand | SubjectCommand | Together,
    retry: Retry | None,
    shown: Callable[[Outcome], T],
    *,
    kind: type[T],
    holds_secret: bool,
) -> T:
    """What is `shown` of the outcome; a reply that holds a secret is kept for ten minutes, any other for a day."""
    if retry is None:
        return shown(await ledger.door.execute(command))
    claimed = claim(ledger.peppers, command.by, retry.key, request=retry.request, holds_secret=holds_secret)
    outcome = await ledger.door.execute(command, claimed, lambda outcome: encode(shown(outcome)))
    retry.replayed = outcome.replayed
    return shown(outcome) if outcome.reply is None else msgspec.json.decode(outcome.reply, type=kind)
