"""The sealer process. Of several sealers one leads, and gives every committed event its position in the log."""

from __future__ import annotations

import asyncio
import signal
from typing import Final

import asyncpg
import structlog

from counterfoil.core.refusals import Misconfigured
from counterfoil.logging import configure
from counterfoil.postgres.connection import LOST, Connection, refuse_unfit
from counterfoil.postgres.leader import Lead
from counterfoil.postgres.placing import LogBroken, VersionOutOfOrder
from counterfoil.postgres.sealing import Sealing, connect_sealer
from counterfoil.settings import Settings

log = structlog.get_logger()

_PAUSE_SECONDS: Final = 0.1
"""The shortest pause between two passes. A longer pass is followed by a pause of its own length."""
_HEARTBEAT_SECONDS: Final = 1.0
"""How often an idle sealer writes to the database that it runs."""
_RETRY_SECONDS: Final = 1.0
_PATIENCE_SECONDS: Final = 1.0
"""How long a pass may take after a signal to stop. A cancelled pass is rolled back and has sealed nothing."""


def run(settings: Settings) -> None:
    """Seal until SIGTERM or SIGINT.

    Raises LogBroken after logging it, and Misconfigured if the database does not keep the settings that we need.
    """
    configure(settings.log_format, settings.log_level)
    asyncio.run(_until_signalled(settings.database_url))


async def _until_signalled(url: str) -> None:
    await refuse_unfit(url)
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    log.info("sealer_started")
    await Sealer(url).run(stopping)
    log.info("sealer_stopped")


class Sealer:
    """Seals while this process leads."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._leads = False
        self._connection: Connection | None = None
        self._sealing: Sealing | None = None
        self._written_at = float("-inf")
        self._in_trouble = False

    async def run(self, stopping: asyncio.Event) -> None:
        """Seal until `stopping` is set.

        Raises LogBroken if the log contradicts itself; an operator must then repair it.
        """
        async with Lead(self._url, "sealer") as lead:
            leading = asyncio.create_task(self._keep(lead))
            working = asyncio.create_task(self._work(stopping))
            try:
                await asyncio.wait({leading, working}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                leading.cancel()
                working.cancel()
                done = await asyncio.gather(leading, working, return_exceptions=True)
                self._let_go()
        for error in done:
            if isinstance(error, Exception):
                raise error

    async def _keep(self, lead: Lead) -> None:
        """Take the lead when it is free, and keep it, also during a long pass."""
        while True:
            leads = await lead.held()
            if leads != self._leads:
                log.info("lead_taken" if leads else "lead_lost", of="sealer")
                self._leads = leads
            await asyncio.sleep(_HEARTBEAT_SECONDS)

    async def _work(self, stopping: asyncio.Event) -> None:
        clock = asyncio.get_running_loop().time
        asked = asyncio.create_task(stopping.wait())
        try:
            while not asked.done():
                began = clock()
                work = asyncio.create_task(self._do())
                await asyncio.wait({work, asked}, return_when=asyncio.FIRST_COMPLETED)
                if not work.done():
                    await asyncio.wait({work}, timeout=_PATIENCE_SECONDS)
                    work.cancel()
                pause = await work
                await asyncio.wait({asked}, timeout=pause and max(pause, clock() - began))
        finally:
            asked.cancel()

    async def _do(self) -> float:
        """Seal one chunk if this process leads; return how many seconds to pause afterwards."""
        if not self._leads:
            self._let_go()
            return _PAUSE_SECONDS
        try:
            finished = await self._pass()
        except VersionOutOfOrder as error:
            log.critical(
                "version_out_of_order", account=error.account, subject=error.subject, expected=error.expected,
                found=error.found, what_to_do=_WHAT_TO_DO,
            )  # fmt: skip
            raise
        except LogBroken as error:
            log.critical("log_broken", found=str(error), what_to_do=_WHAT_TO_DO)
            raise
        except (*LOST, asyncpg.PostgresError, Misconfigured) as error:
            self._let_go()
            self._note_trouble(error)
            return _RETRY_SECONDS
        self._note_trouble(None)
        return _PAUSE_SECONDS if finished else 0.0

    async def _pass(self) -> bool:
        """Seal one chunk and return whether it was the last one. With nothing to seal, write only the heartbeat."""
        if self._sealing is None:
            self._connection = await connect_sealer(self._url)
            self._sealing = Sealing(self._connection)
        now = asyncio.get_running_loop().time()
        if not await self._sealing.has_news() and now - self._written_at < _HEARTBEAT_SECONDS:
            return True
        step = await self._sealing.step()
        self._written_at = now
        return step.finished

    def _let_go(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
        self._connection = self._sealing = None

    def _note_trouble(self, error: Exception | None) -> None:
        if error is not None and not self._in_trouble:
            advice = {"what_to_do": error.detail} if isinstance(error, Misconfigured) else {}
            log.warning("sealing_fails", error=type(error).__name__, **advice)
        elif error is None and self._in_trouble:
            log.info("sealing_again")
        self._in_trouble = error is not None


_WHAT_TO_DO: Final = (
    "Nothing is sealed until this is resolved. Somebody has written to the tables of the log past the API, or has"
    " removed rows: `counterfoil audit replay` shows where. Restore them as their owner; the sealer then goes on."
)
