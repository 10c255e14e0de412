"""Events as lines of JSON, each on one line and safe to print, whatever its texts contain."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import msgspec

from counterfoil.core.principal import Principal
from counterfoil.documents.events import LogLine, PrivatePart
from counterfoil.postgres.sealed_log import SealedEvent

_encoder: Final = msgspec.json.Encoder()

# JSON allows these inside strings. But some line readers break there, terminals interpret them, and marks of writing
# direction disguise a line.
_HIDDEN: Final = re.compile(
    "[\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)


@dataclass(frozen=True, slots=True)
class Sight:
    """The private parts that a reader sees: of the own account, and of users with the scope to read users."""

    account: UUID
    users: bool

    def shows(self, event: SealedEvent) -> bool:
        """Say whether the reader sees the private part of this event."""
        return event.account == self.account and (self.users or event.kind != "user")


def sight_of(caller: Principal) -> Sight:
    return Sight(caller.account, users=not caller.lacks("users.read"))


def document(event: SealedEvent, sight: Sight) -> LogLine:
    """Return an event as this reader sees it."""
    if event.private is None or event.salt is None or not sight.shows(event):
        return LogLine(event.position, event.entry, None)
    return LogLine(event.position, event.entry, PrivatePart(text=event.private, salt=event.salt))


def lines(events: Iterable[SealedEvent], sight: Sight) -> bytes:
    return printable(_encoder.encode_lines([document(event, sight) for event in events]))


def place(position: int) -> bytes:
    """Return the line that says that everything up to this position was examined."""
    return b'{"position":%d}\n' % position


def printable(document: bytes) -> bytes:
    """Return the same JSON with escapes for characters that a terminal or a line reader would interpret."""
    if document.isascii() and b"\x7f" not in document:
        return document
    return _HIDDEN.sub(lambda found: json.dumps(found[0])[1:-1], document.decode()).encode()
