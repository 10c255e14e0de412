"""A proxy that uses forward authentication."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from aiohttp import ClientSession

from api.service import Answer, Caller


@dataclass(frozen=True, slots=True)
class Asked:
    """A proxy that demands `invoices.read` of the tokens of one account."""

    session: ClientSession
    account: str

    async def about(
        self, headers: Mapping[str, str], *, method: str = "GET", target: str = "", **demand: str
    ) -> Answer:
        wanted = {"account": self.account, "scope": "invoices.read"} | demand
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in wanted.items())
        async with self.session.request(method, target or f"/v1/forward?{query}", headers=headers) as answer:
            return Answer(answer.status, answer.headers, await answer.read())


def bearer(plain: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {plain}"}


async def issued(admin: Caller, *scopes: str, **fields: object) -> Any:
    return await admin.issue(scopes=scopes or ("invoices.read",), owner={"type": "application", "id": "b:1"}, **fields)
