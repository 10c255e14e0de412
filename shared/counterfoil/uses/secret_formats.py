"""Decides which texts may be secrets: our own by their form, other texts only after any secret was imported."""

import asyncio
from dataclasses import dataclass
from time import monotonic
from typing import Final

from counterfoil.core.credentials import Given, SecretGiven
from counterfoil.core.imported_secrets import Algorithm, ImportedSecret, could_be_imported
from counterfoil.core.secret import Secret, SecretShape, recognised
from counterfoil.postgres.connection import Pool
from counterfoil.postgres.imported_secrets import algorithms

_TRUE_SECONDS: Final = 1.0
"""A process may learn this late that a new kind of secret was imported, so imports are answered after this time."""


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class EitherSecret:
    """A text that was either made here, in a form without a checksum, or imported."""

    own: Secret
    imported: ImportedSecret

    @property
    def materials(self) -> tuple[bytes, ...]:
        """What may be digested under a pepper; that of one made here comes first."""
        return (*self.own.materials, *self.imported.materials)

    @property
    def hint(self) -> str:
        """Enough to recognise it by."""
        return self.own.hint

    @property
    def scheme(self) -> str:
        """How it is kept if it was made here."""
        return self.own.scheme

    def __repr__(self) -> str:
        return "EitherSecret(…)"


Recognised = Secret | ImportedSecret | EitherSecret


class SecretFormats:
    """Recognises secrets, so that other text never reaches the database.

    `shapes` are the further forms in which secrets are made here. While no secret is imported, a process asks the
    database only whether one was, at most once a second.
    """

    def __init__(self, pool: Pool, shapes: tuple[SecretShape, ...] = ()) -> None:
        self._pool = pool
        self._shapes = shapes
        self._since: dict[Algorithm, float] = {}
        self._true_until = 0.0
        self._asking = asyncio.Lock()

    async def may_be(self, given: Given) -> bool:
        """Say whether credentials have the form of a secret; a bearer never has."""
        return isinstance(given, SecretGiven) and any(
            [await self.of(reading.plain) is not None for reading in given.readings]
        )

    async def of(self, plain: str) -> Recognised | None:
        """Return the secret that a text may be."""
        if own := recognised(plain):
            return own
        if not could_be_imported(plain):
            return None
        shaped = self.shaped(plain)
        known = await self._known()
        imported = ImportedSecret(plain, known) if known else None
        return EitherSecret(shaped, imported) if shaped and imported else shaped or imported

    def shaped(self, plain: str) -> Secret | None:
        """Return the secret that a text is if it was made here in one of the further forms."""
        return next(filter(None, (shape.recognised(plain) for shape in self._shapes)), None)

    async def ensure_known(self, algorithm: Algorithm) -> None:
        """Return once every process knows that secrets of this kind were imported."""
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
                    # From the time before the query, since its answer does not include later imports.
                    self._true_until = now + _TRUE_SECONDS
                    self._since |= dict.fromkeys((each for each in found if each not in self._since), monotonic())
        return tuple(sorted(self._since))
