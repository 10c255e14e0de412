"""The call of whoever finds secrets that are not theirs."""

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
    """Report what leaked."""

    async def report_leak(self, secrets: Sequence[str]) -> int:
        """Revoke whatever these leaked secrets open; return how many were received, which is all that is told.

        It takes no token. More than a thousand are reported in parts; done twice it is as good as once.
        """
        received = 0
        for start in range(0, len(secrets), MOST):
            body = msgspec.json.encode(secrets[start : start + MOST])
            answer = await self.wire.ask(Call("POST", "/v1/leak-reports", body=body))
            received += spelling.read(answer, _Received).received
        return received
