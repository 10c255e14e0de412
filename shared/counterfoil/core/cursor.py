"""Cursors: the start of the next page, signed and bound to one account and one query."""

from __future__ import annotations

import base64
import binascii
import hmac
from uuid import UUID

import msgspec

from counterfoil.core.refusals import BadReference


class BadCursor(BadReference):
    """This cursor does not belong to this list; start again without one."""


class Cursors:
    """Makes and reads cursors under a key (32 bytes)."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def made(self, account: UUID, question: object, place: list[object]) -> str:
        """Return the cursor for a place in the results of a query (filters and sort order)."""
        text = msgspec.json.encode(place)
        return base64.urlsafe_b64encode(self._mac(account, question, text) + text).decode().rstrip("=")

    def place(self, account: UUID, question: object, cursor: str) -> list[object]:
        """Return the place in a cursor, or raise BadCursor if the cursor belongs to another account or query."""
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as error:
            raise BadCursor(field="cursor") from error
        if not hmac.compare_digest(raw[:16], self._mac(account, question, raw[16:])):
            raise BadCursor(field="cursor")
        return msgspec.json.decode(raw[16:], type=list[object])

    def _mac(self, account: UUID, question: object, text: bytes) -> bytes:
        bound = account.bytes + msgspec.json.encode(question, order="sorted") + b"\x00" + text
        return hmac.digest(self._key, bound, "sha256")[:16]
