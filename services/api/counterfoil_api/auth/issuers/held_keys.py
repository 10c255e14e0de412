"""The rules for an issuer's keys: how long they are used, and how often newer ones are requested."""

from dataclasses import dataclass, replace
from typing import Final, Self

from counterfoil_api.auth.issuers.keys import KeySet

SHORTEST_SECONDS: Final = 60
LONGEST_SECONDS: Final = 3_600
"""Keys are used for as long as their issuer states, within these bounds; for the longest if it stops answering."""
_UNSTATED_SECONDS: Final = 300
"""How long keys are used if the issuer states nothing."""
UNKNOWN_SECONDS: Final = 60
"""The least time between two requests for unknown keys."""
PAUSE_SECONDS: Final = 10
"""An issuer that did not answer gets no request for this long."""
_NEVER: Final = float("-inf")
_NO_KEYS: Final = KeySet(())


@dataclass(frozen=True, slots=True)
class HeldKeys:
    """The keys from the last request to an issuer, and its time on a monotonic clock."""

    keys: KeySet = _NO_KEYS
    fetched: float = _NEVER
    kept_seconds: int = SHORTEST_SECONDS
    failed: float = _NEVER

    def answered(self, keys: KeySet, max_age: int | None, *, requested_at: float) -> Self:
        """Return the state after the issuer returned its keys."""
        kept = min(max(max_age if max_age is not None else _UNSTATED_SECONDS, SHORTEST_SECONDS), LONGEST_SECONDS)
        return replace(self, keys=keys, fetched=requested_at, kept_seconds=kept, failed=_NEVER)

    def not_answered(self, at: float) -> Self:
        """Return the state after the issuer failed to return them."""
        return replace(self, failed=at)

    def fresh(self, at: float) -> bool:
        """Say whether the keys may be used without a new request."""
        return at < self.fetched + self.kept_seconds

    def good(self, at: float) -> bool:
        """Say whether the keys may be used while the issuer does not answer."""
        return at < self.fetched + LONGEST_SECONDS

    def may_be_requested(self, at: float) -> bool:
        """Say whether a request may be sent at all."""
        return self.wait(at) <= 0

    @property
    def failing(self) -> bool:
        """Whether the last request failed."""
        return self.failed > _NEVER

    def unknown_may_be_requested(self, at: float) -> bool:
        """Say whether a request for an unknown key may be sent."""
        return at >= self.fetched + UNKNOWN_SECONDS and self.may_be_requested(at)

    def wait(self, at: float) -> float:
        """Return the seconds until the next request may be sent."""
        return self.failed + PAUSE_SECONDS - at
