"""The curl commands of the vendors' pages, run by a shell as printed."""

import asyncio
import os
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

PATIENCE_SECONDS = 30
_MARK = "\n--status "
_SETTINGS = 'silent\nshow-error\nnoproxy = "*"\n'


@dataclass(frozen=True)
class Said:
    """The output of curl and the status of the answer."""

    status: int
    body: str

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


class Curl:
    """Runs commands; curl's configuration file makes it print the status."""

    def __init__(self, home: Path) -> None:
        self.home = home

    async def __call__(self, line: str, printed: Mapping[str, str], **variables: str) -> Said:
        """Run a command, replacing each `printed` text by its value; `$variables` are the shell's."""
        process = await self._start(line, printed, variables, 'write-out = "\\n--status %{http_code}"\n')
        async with asyncio.timeout(PATIENCE_SECONDS):
            out, complaint = await process.communicate()
        assert process.returncode == 0, (line, complaint)
        body, _, status = out.decode().rpartition(_MARK)
        return Said(int(status), body)

    @asynccontextmanager
    async def following(self, line: str, printed: Mapping[str, str]) -> AsyncIterator[AsyncIterator[Any]]:
        """Run a command whose answer does not end; return the contents of its non-empty lines."""
        process = await self._start(f"exec {line}", printed, {}, "")
        assert process.stdout is not None
        try:
            yield _values(process.stdout)
        finally:
            process.kill()
            await process.communicate()

    async def _start(
        self, line: str, printed: Mapping[str, str], variables: Mapping[str, str], more: str
    ) -> asyncio.subprocess.Process:
        (self.home / ".curlrc").write_text(_SETTINGS + more, encoding="utf-8")
        for text, real in printed.items():
            line = line.replace(text, real)
        environment = {"PATH": os.environ["PATH"], "CURL_HOME": str(self.home), "HOME": str(self.home), **variables}
        return await asyncio.create_subprocess_exec("sh", "-c", line, stdout=PIPE, stderr=PIPE, env=environment)


async def _values(lines: asyncio.StreamReader) -> AsyncIterator[Any]:
    while True:
        async with asyncio.timeout(PATIENCE_SECONDS):
            line = await lines.readline()
        if not line:
            return
        if line.strip():
            yield msgspec.json.decode(line)
