"""For how long an issuer's keys are used, and how often it is asked for newer ones."""

from dataclasses import dataclass, replace
from typing import Final, Self

from counterfoil_api.auth.issuers.keys import KeySet

SHORTEST_SECONDS: Final = 60
LONGEST_SECONDS: Final = 3_600
"""Keys are used for as long as their issuer says, within these; and for the longest while it does not answer."""
_UNSTATED_SECONDS: Final = 300
"""If it does not say."""
UNKNOWN_SECONDS: Final = 60
"""Between two questions about keys that are not known."""
PAUSE_SECONDS: Final = 10
"""An issuer that did not answer is left alone for so long."""
_NEVER: Final = float("-inf")
_NO_KEYS: Final = KeySet(())


@dataclass(frozen=True, slots=True)
class HeldKeys:
    """The keys that an issuer had when it was asked last, and when that was; moments are those of a steady clock."""

    keys: KeySet = _NO_KEYS
    fetched: float = _NEVER
    kept_seconds: int = SHORTEST_SECONDS
    failed: float = _NEVER

    def answered(self, keys: KeySet, max_age: int | None, *, asked: float) -> Self:
        """Return what is held once the issuer has given its keys."""
        kept = min(max(max_age if max_age is not None else _UNSTATED_SECONDS, SHORTEST_SECONDS), LONGEST_SECONDS)
        return replace(self, keys=keys, fetched=asked, kept_seconds=kept, failed=_NEVER)

    def not_answered(self, at: float) -> Self:
        """Return what is held once the issuer has failed to."""
        return replace(self, failed=at)

    def fresh(self, at: float) -> bool:
        """Say whether the keys may be used without a question."""
        return at < self.fetched + self.kept_seconds

    def good(self, at: float) -> bool:
        """Say whether the keys may be used while the issuer does not answer."""
        return at < self.fetched + LONGEST_SECONDS

    def may_be_asked(self, at: float) -> bool:
        """Say whether the issuer may be asked at all."""
        return self.wait(at) <= 0

    @property
    def failing(self) -> bool:
        """Whether the issuer did not answer the last time."""
        return self.failed > _NEVER

    def unknown_may_be_asked(self, at: float) -> bool:
        """Say whether it may be asked about a key that is not known."""
        return at >= self.fetched + UNKNOWN_SECONDS and self.may_be_asked(at)

    def wait(self, at: float) -> float:
        """Return how many seconds from now it may be asked again."""
        return self.failed + PAUSE_SECONDS - at
