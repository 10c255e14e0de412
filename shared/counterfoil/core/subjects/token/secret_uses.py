"""Uses of both secrets of a token since its rotation, by network, and who still uses the previous one."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import msgspec

QUIET: Final = timedelta(hours=12)
"""A network has moved if it did not use the previous secret for so long, or for a quarter of a shorter grace."""


class NetworkUses(msgspec.Struct, frozen=True, kw_only=True):
    """How often the callers of one network used the previous secret and the present one since the rotation.

    A network is a /24 of IPv4 or a /64 of IPv6, never a whole address. Networks beyond the first ones share the name
    `other`.
    """

    network: str
    previous: int = 0
    previous_last_at: datetime | None = None
    present: int = 0
    present_last_at: datetime | None = None

    def has_moved(self, since: datetime) -> bool:
        """Say whether its callers use only the present secret: since its last use, and since this moment.

        The second condition is for a network in which one caller has moved and another has not.
        """
        if self.previous_last_at is None:
            return True
        moved = self.present_last_at is not None and self.present_last_at > self.previous_last_at
        return moved and self.previous_last_at < since


class SecretUses(msgspec.Struct, frozen=True):
    """The uses since the rotation that made the secret of this generation."""

    generation: int = 0
    networks: tuple[NetworkUses, ...] = ()

    @property
    def previous(self) -> int:
        """How often the previous secret was used since the rotation."""
        return sum(each.previous for each in self.networks)

    @property
    def previous_last_at(self) -> datetime | None:
        return max((each.previous_last_at for each in self.networks if each.previous_last_at), default=None)

    @property
    def present_last_at(self) -> datetime | None:
        return max((each.present_last_at for each in self.networks if each.present_last_at), default=None)

    def of(self, generation: int) -> SecretUses:
        """Return these uses if they belong to the rotation that made this generation; otherwise none."""
        return self if self.generation == generation else SecretUses(generation)

    def behind(self, since: datetime) -> tuple[NetworkUses, ...]:
        """Return the networks whose callers have not moved to the present secret."""
        return tuple(each for each in self.networks if not each.has_moved(since))


UNUSED: Final = SecretUses()


def quiet_since(at: datetime, *, grace: timedelta | None) -> datetime:
    """Return since when a network that has moved must not have used the previous secret."""
    return at - (QUIET if grace is None else min(QUIET, grace / 4))
