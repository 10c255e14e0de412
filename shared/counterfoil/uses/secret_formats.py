"""Which texts may be a secret: ours by their form; those from elsewhere only once some were imported."""

import asyncio
from dataclasses import dataclass
from time import monotonic
from typing import Final

from counterfoil.core.imported_secrets import Algorithm, ImportedSecret, could_be_imported
from counterfoil.core.secret import Secret, SecretShape, recognised
from counterfoil.postgres.connection import Pool
from counterfoil.postgres.imported_secrets import algorithms

_TRUE_SECONDS: Final = 1.0
"""For so long a process believes that nothing more was imported; imports of a new kind are answered after that."""


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class EitherSecret:
    """A text that may have been made here in a form without a checksum, or have been imported."""

    own: Secret
    foreign: ImportedSecret

    @property
    def materials(self) -> tuple[bytes, ...]:
        """What may be digested under a pepper; that of one made here comes first."""
        return (*self.own.materials, *self.foreign.materials)

    @property
    def stub(self) -> str:
        """Enough to recognise it by."""
        return self.own.stub

    @property
    def scheme(self) -> str:
        """How it is kept if it was made here."""
        return self.own.scheme

    def __repr__(self) -> str:
        return "EitherSecret(…)"


Recognised = Secret | ImportedSecret | EitherSecret


class SecretFormats:
    """Recognises secrets; what cannot be one is refused before the database is asked for it.

    `shapes` are the forms beside ours in which secrets are made here. Until something is imported the database is
    asked only whether something was, at most once a second.
    """

    def __init__(self, pool: Pool, shapes: tuple[SecretShape, ...] = ()) -> None:
        self._pool = pool
        self._shapes = shapes
        self._since: dict[Algorithm, float] = {}
        self._true_until = 0.0
        self._asking = asyncio.Lock()

    async def of(self, plain: str) -> Recognised | None:
        """Return the secret that a text may be."""
        if own := recognised(plain):
            return own
        if not could_be_imported(plain):
            return None
        shaped = self.shaped(plain)
        known = await self._known()
        foreign = ImportedSecret(plain, known) if known else None
        return EitherSecret(shaped, foreign) if shaped and foreign else shaped or foreign

    def shaped(self, plain: str) -> Secret | None:
        """Return the secret that a text would be if it was made here in a form beside ours."""
        return next(filter(None, (shape.recognised(plain) for shape in self._shapes)), None)

    async def settled(self, algorithm: Algorithm) -> None:
        """Return when every process knows that secrets of this kind were imported, which is so for good."""
        while algorithm not in self._since:
            self._true_until = 0.0
            await self._known()
        if (left := self._since[algorithm] + _TRUE_SECONDS - monotonic()) > 0:
            await asyncio.sleep(left)

    async def _known(self) -> tuple[Algorithm, ...]:
        if monotonic() >= self._true_until:
            async with self._asking:
                if (now := monotonic()) >= self._true_until:
                    found = await algorithms(self._pool)
                    # From before the question on: what was imported since is not in the answer.
                    self._true_until = now + _TRUE_SECONDS
                    self._since |= dict.fromkeys((each for each in found if each not in self._since), monotonic())
        return tuple(sorted(self._since))
