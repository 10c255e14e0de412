"""What handlers write with: commands go through the door, and each retry gets the first reply again."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from counterfoil.core.principal import Principal
from counterfoil.core.refusals import OutcomeUnknown, Refusal
from counterfoil.core.secret import Peppers
from counterfoil.core.subjects.subject import Command
from counterfoil.core.subjects.token.commands import Create
from counterfoil.core.subjects.user_commands import CreateUser
from counterfoil.core.unit_of_work import AllOrNothing, Outcome
from counterfoil.door import Door
from counterfoil.door.batch import Reply, recall
from counterfoil.idempotency import IdempotencyClaim, claim
from counterfoil.postgres.numbers import Numbers
from counterfoil_api.handling.reading import Reading
from counterfoil_api.operations.replies import encode
from counterfoil_api.operations.retries import Retry

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Writing:
    """The door, the numbers of new tokens and users, and the replies that are kept for retries."""

    door: Door
    reading: Reading
    token_numbers: Numbers
    user_numbers: Numbers
    peppers: Peppers

    async def reply(
        self, command: Command | AllOrNothing, retry: Retry | None, render: Callable[[Outcome], T], *, kind: type[T],
        holds_secret: bool,
    ) -> T:  # fmt: skip
        """Execute a command and render its outcome.

        Under an Idempotency-Key a retry gets the same reply: for ten minutes if it holds a secret, otherwise for a day.
        """
        if retry is None:
            return render(await self.execute(command))
        claimed = self._claim(command.by, retry, holds_secret=holds_secret)
        outcome = await self.execute(command, claimed, lambda outcome: encode(render(outcome)))
        retry.replayed = outcome.replayed
        return render(outcome) if outcome.reply is None else msgspec.json.decode(outcome.reply, type=kind)

    async def recall(self, by: Principal, retry: Retry, *, kind: type[T]) -> T | None:
        """Return the reply that a first attempt got, where the command cannot be repeated: its subject is gone.

        Only for replies without a secret. Raises KeyReused.
        """
        outcome = await recall(self.reading.pool, self._claim(by, retry, holds_secret=False))
        if outcome is None or outcome.reply is None:
            return None
        retry.replayed = True
        return msgspec.json.decode(outcome.reply, type=kind)

    async def execute(
        self, command: Command | AllOrNothing, claimed: IdempotencyClaim | None = None, reply: Reply | None = None
    ) -> Outcome:
        """Execute a command; give a new token or user the next number of its account, and take it back on a refusal."""
        first, *others = command.commands if isinstance(command, AllOrNothing) else (command,)
        match first:
            case Create():
                numbers = self.token_numbers
            case CreateUser():
                numbers = self.user_numbers
            case _:
                return await self.door.execute(command, claimed, reply)
        number = await numbers.next(first.account)
        numbered = replace(first, number=number)
        try:
            outcome = await self.door.execute(AllOrNothing((numbered, *others)) if others else numbered, claimed, reply)
        except OutcomeUnknown:  # the number may have been used
            raise
        except Refusal:
            numbers.give_back(first.account, number)
            raise
        if outcome.replayed:
            numbers.give_back(first.account, number)
        return outcome

    def _claim(self, by: Principal, retry: Retry, *, holds_secret: bool) -> IdempotencyClaim:
        return claim(
            self.peppers, by, retry.key, request=retry.request, holds_secret=holds_secret, attempt=retry.attempt
        )
