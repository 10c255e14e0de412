"""A change and its answer, given once, and under an Idempotency-Key the very same again."""

from collections.abc import Callable
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from counterfoil.core.principal import Principal
from counterfoil.core.refusals import OutcomeUnknown, Refusal
from counterfoil.core.subjects.subject import SubjectCommand
from counterfoil.core.subjects.token.commands import Create, TokenCommand
from counterfoil.core.subjects.user_commands import CreateUser
from counterfoil.core.unit_of_work import AllOrNothing, Outcome
from counterfoil.door.batch import Reply, recall
from counterfoil.idempotency import IdempotencyClaim, claim
from counterfoil_api.ledger import Ledger
from counterfoil_api.operations.replies import encode
from counterfoil_api.operations.retries import Retry

T = TypeVar("T")

Command = TokenCommand | SubjectCommand | AllOrNothing


async def answered(
    ledger: Ledger,
    command: Command,
    retry: Retry | None,
    shown: Callable[[Outcome], T],
    *,
    kind: type[T],
    holds_secret: bool,
) -> T:
    """What is `shown` of the outcome; a reply that holds a secret is kept for ten minutes, any other for a day."""
    if retry is None:
        return shown(await executed(ledger, command))
    claimed = _claim(ledger, command.by, retry, holds_secret=holds_secret)
    outcome = await executed(ledger, command, claimed, lambda outcome: encode(shown(outcome)))
    retry.replayed = outcome.replayed
    return shown(outcome) if outcome.reply is None else msgspec.json.decode(outcome.reply, type=kind)


async def recalled(ledger: Ledger, by: Principal, retry: Retry, *, kind: type[T]) -> T | None:
    """What was answered before to somebody who cannot ask again, since what they asked for is gone; without a secret.

    Raises KeyReused.
    """
    outcome = await recall(ledger.readers, _claim(ledger, by, retry, holds_secret=False))
    if outcome is None or outcome.reply is None:
        return None
    retry.replayed = True
    return msgspec.json.decode(outcome.reply, type=kind)


def _claim(ledger: Ledger, by: Principal, retry: Retry, *, holds_secret: bool) -> IdempotencyClaim:
    return claim(ledger.peppers, by, retry.key, request=retry.request, holds_secret=holds_secret, attempt=retry.attempt)


async def executed(
    ledger: Ledger, command: Command, claimed: IdempotencyClaim | None = None, reply: Reply | None = None
) -> Outcome:
    """What came of a command; a new token or user has a number from then on, and what is none keeps none."""
    first, *beside = command.commands if isinstance(command, AllOrNothing) else (command,)
    match first:
        case Create():
            numbers = ledger.numbers
        case CreateUser():
            numbers = ledger.user_numbers
        case _:
            return await ledger.door.execute(command, claimed, reply)
    number = await numbers.next(first.account)
    numbered = replace(first, number=number)
    try:
        outcome = await ledger.door.execute(AllOrNothing((numbered, *beside)) if beside else numbered, claimed, reply)
    except OutcomeUnknown:  # it may have been used
        raise
    except Refusal:
        numbers.give_back(first.account, number)
        raise
    if outcome.replayed:
        numbers.give_back(first.account, number)
    return outcome
