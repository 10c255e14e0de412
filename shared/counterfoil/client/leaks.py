"""The call that reports leaked secrets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from counterfoil.client import spelling
from counterfoil.client.calls import Calls
from counterfoil.client.wire import Call

MOST: Final = 1_000
"""Secrets in one report."""


class _Received(msgspec.Struct, frozen=True):
    received: int


class Leaks(Calls):
    """Report leaked secrets."""

    async def report_leak(self, secrets: Sequence[str]) -> int:
        """Revoke the tokens that these leaked secrets belong to, and return how many secrets the API received.

        It needs no token. More than a thousand secrets go in several reports; a second call changes nothing.
        """
        received = 0
        for start in range(0, len(secrets), MOST):
            body = msgspec.json.encode(secrets[start : start + MOST])
            answer = await self.wire.ask(Call("POST", "/v1/leak-reports", body=body))
            received += spelling.read(answer, _Received).received
        return received
