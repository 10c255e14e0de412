"""Events as lines of JSON, each on one line and safe to print, whatever somebody has named their token."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Final
from uuid import UUID

import msgspec
from msgspec import Meta

from counterfoil.core.principal import Principal
from counterfoil.postgres.sealed_log import SealedEvent

_encoder: Final = msgspec.json.Encoder()

# Inside the strings of JSON these may stand as they are. But some readers of lines end one there, terminals obey them,
# and what turns the direction of writing makes a line say what it does not.
_HIDDEN: Final = re.compile(
    "[\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)


class PrivatePart(msgspec.Struct, frozen=True, kw_only=True):
    """What an entry only commits to: its `private` is the SHA-256 of the salt's bytes, followed by the text's."""

    text: str
    salt: Annotated[bytes, Meta(description="32 bytes in base64.")]


class LogLine(msgspec.Struct, frozen=True):
    """One sealed event: its place in the log, the entry as the text that was sealed, and its private part.

    `private` is null where there is none, where it was erased, and where the caller may not see it.
    """

    position: int
    entry: str
    private: PrivatePart | None


@dataclass(frozen=True, slots=True)
class Sight:
    """Whose private parts a reader sees: those of their own account, and of users only if they may see users."""

    account: UUID
    users: bool

    def shows(self, event: SealedEvent) -> bool:
        """Whether the private part of this event is shown."""
        return event.account == self.account and (self.users or event.kind != "user")


def sight_of(asker: Principal) -> Sight:
    """What this reader sees."""
    return Sight(asker.account, users=not asker.lacks("users.read"))


def document(event: SealedEvent, sight: Sight) -> LogLine:
    """An event as this reader sees it."""
    if event.private is None or event.salt is None or not sight.shows(event):
        return LogLine(event.position, event.entry, None)
    return LogLine(event.position, event.entry, PrivatePart(text=event.private, salt=event.salt))


def lines(events: Iterable[SealedEvent], sight: Sight) -> bytes:
    """These events, each as a line with its end."""
    return printable(_encoder.encode_lines([document(event, sight) for event in events]))


def place(position: int) -> bytes:
    """The line that says: everything up to here was looked at."""
    return b'{"position":%d}\n' % position


def printable(document: bytes) -> bytes:
    """The same JSON, without characters that a terminal or a reader of lines would take for more than text."""
    if document.isascii() and b"\x7f" not in document:
        return document
    return _HIDDEN.sub(lambda found: json.dumps(found[0])[1:-1], document.decode()).encode()
