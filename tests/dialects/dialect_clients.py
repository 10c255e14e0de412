"""Clients of each dialect for an account's administrator, with the same methods for all."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal

from aiohttp import ClientSession

from api.service import Answer, Caller, basic
from dialects.accounts import Account

UNTIL: Final = "2090-01-31 00:00:00"


@dataclass(frozen=True, slots=True)
class Known:
    """A token as in the native API."""

    id: str
    number: int


class Speaker(ABC):
    """A client of one dialect. Methods that the dialect lacks are not among its `verbs`."""

    name: ClassVar[str]
    verbs: ClassVar[frozenset[str]]
    ids: ClassVar[Literal["ours", "numbers", "opaque"]] = "opaque"

    def __init__(self, caller: Caller, account: Account) -> None:
        self.caller, self.account = caller, account

    @classmethod
    async def of(cls, session: ClientSession, account: Account) -> Speaker:
        """The administrator, logged in where the dialect needs it."""
        return cls(Caller(session, f"Bearer {account.admin_token}"), account)

    @abstractmethod
    async def create(self, name: str) -> str:
        """Create a token and return its secret."""

    @abstractmethod
    async def listed(self) -> dict[str, str]:
        """The ids of all listed tokens by name."""

    @abstractmethod
    async def look(self, token: str) -> str | None:
        """The name of a token; None if it does not exist."""

    @abstractmethod
    async def delete(self, token: str) -> None:
        """Revoke a token."""

    async def id_of(self, token: Known, name: str) -> str | None:
        """The id of a token in this dialect; None if it has none."""
        if self.ids == "opaque":
            return (await self.listed()).get(name)
        return token.id if self.ids == "ours" else str(token.number)

    async def rename(self, token: str, name: str) -> None:
        """Rename a token."""
        raise NotImplementedError

    async def rotate(self, token: str) -> str:
        """Rotate a token and return its new secret."""
        raise NotImplementedError

    async def renew(self, token: str) -> None:
        """Move the expiry of a token."""
        raise NotImplementedError

    async def suspend(self, token: str) -> None:
        """Suspend a token."""
        raise NotImplementedError

    async def resume(self, token: str) -> None:
        """Resume a token."""
        raise NotImplementedError


def _good(answer: Answer, status: int = 200) -> Any:
    assert answer.status == status, (answer.status, answer.body)
    return answer.json if answer.body else None


class Scalingo(Speaker):
    name = "scalingo"
    ids = "ours"
    verbs = frozenset({"create", "look", "rotate", "delete"})
    _path = "/scalingo/v1/tokens"

    @classmethod
    async def of(cls, session: ClientSession, account: Account) -> Speaker:
        password = Caller(session, basic(account.admin_login, account.admin_password))
        made = _good(await password.post(cls._path, {"token": {"name": "speaks scalingo"}}), 201)
        token = Caller(session, basic("", made["token"]["token"]))
        bearer = _good(await token.post(f"{cls._path}/exchange"))["token"]
        return cls(token.with_token(bearer), account)

    async def create(self, name: str) -> str:
        made = _good(await self.caller.post(self._path, {"token": {"name": name}}), 201)
        return str(made["token"]["token"])

    async def listed(self) -> dict[str, str]:
        return {each["name"]: each["id"] for each in _good(await self.caller.get(self._path))["tokens"]}

    async def look(self, token: str) -> str | None:
        answer = await self.caller.get(f"{self._path}/{token}")
        return None if answer.status == 404 else _good(answer)["token"]["name"]

    async def rotate(self, token: str) -> str:
        return str(_good(await self.caller.patch(f"{self._path}/{token}/renew", {}))["token"]["token"])

    async def delete(self, token: str) -> None:
        _good(await self.caller.delete(f"{self._path}/{token}"), 204)


class Canvus(Speaker):
    name = "canvus"
    verbs = frozenset({"create", "look", "rename", "delete"})

    @classmethod
    async def of(cls, session: ClientSession, account: Account) -> Speaker:
        return cls(Caller(session, "", {"Private-Token": account.admin_token}), account)

    @property
    def _path(self) -> str:
        return f"/canvus/api/v1/users/{self.account.admin_user_number}/access-tokens"

    async def create(self, name: str) -> str:
        return str(_good(await self.caller.post(self._path, {"description": name}))["plain_token"])

    async def listed(self) -> dict[str, str]:
        return {each["description"]: each["id"] for each in _good(await self.caller.get(self._path))}

    async def look(self, token: str) -> str | None:
        answer = await self.caller.get(f"{self._path}/{token}")
        return None if answer.status == 404 else _good(answer)["description"]

    async def rename(self, token: str, name: str) -> None:
        _good(await self.caller.patch(f"{self._path}/{token}", {"description": name}))

    async def delete(self, token: str) -> None:
        _good(await self.caller.delete(f"{self._path}/{token}"))


class Virtuozzo(Speaker):
    name = "virtuozzo"
    ids = "numbers"
    verbs = frozenset({"create", "look", "rename", "renew", "rotate", "delete"})
    session = ""

    @classmethod
    async def of(cls, session: ClientSession, account: Account) -> Speaker:
        speaker = cls(Caller(session, ""), account)
        signed_in = await speaker._call("signin", login=account.admin_login, password=account.admin_password)
        speaker.session = signed_in["session"]
        return speaker

    async def _call(self, function: str, **fields: str) -> Any:
        path = f"/virtuozzo/1.0/users/authentication/rest/{function}"
        return _good(await self.caller.form(path, **({"session": self.session} if self.session else {}), **fields))

    async def _change(self, function: str, **fields: str) -> Any:
        answer = await self._call(function, password=self.account.admin_password, **fields)
        assert answer["result"] == 0, answer
        return answer

    async def create(self, name: str) -> str:
        return str((await self._change("createtoken", description=name))["token"]["key"])

    async def listed(self) -> dict[str, str]:
        return {each["description"]: str(each["id"]) for each in (await self._call("gettokens"))["apiTokens"]}

    async def look(self, token: str) -> str | None:
        answer = await self._call("gettokens", ids=token)
        assert answer["result"] in (0, 5)
        return answer["apiTokens"][0]["description"] if answer["result"] == 0 else None

    async def rename(self, token: str, name: str) -> None:
        await self._change("edittoken", id=token, description=name)

    async def renew(self, token: str) -> None:
        await self._change("edittoken", id=token, expiresAt=UNTIL)

    async def rotate(self, token: str) -> str:
        return str((await self._change("regeneratetoken", id=token))["token"]["key"])

    async def delete(self, token: str) -> None:
        await self._change("deletetokens", ids=token)


class Losant(Speaker):
    name = "losant"
    verbs = frozenset({"create", "look", "rename", "suspend", "resume", "delete"})
    user = ""

    @classmethod
    async def of(cls, session: ClientSession, account: Account) -> Speaker:
        speaker = cls(Caller(session, ""), account)
        login = {"email": account.admin_login, "password": account.admin_password}
        logged_in = _good(await speaker.caller.post("/losant/auth/user", login))
        speaker.caller, speaker.user = speaker.caller.with_token(logged_in["token"]), logged_in["userId"]
        return speaker

    @property
    def _path(self) -> str:
        return f"/losant/applications/{self.user}/tokens"

    async def create(self, name: str) -> str:
        return str(_good(await self.caller.post(self._path, {"name": name}), 201)["token"])

    async def listed(self) -> dict[str, str]:
        page = _good(await self.caller.get(self._path, perPage=1_000))
        assert page["count"] == page["totalCount"]
        return {each["name"]: each["id"] for each in page["items"]}

    async def look(self, token: str) -> str | None:
        answer = await self.caller.get(f"{self._path}/{token}")
        return None if answer.status == 404 else _good(answer)["name"]

    async def _patch(self, token: str, **changes: str) -> None:
        _good(await self.caller.patch(f"{self._path}/{token}", changes))

    async def rename(self, token: str, name: str) -> None:
        await self._patch(token, name=name)

    async def suspend(self, token: str) -> None:
        await self._patch(token, status="inactive")

    async def resume(self, token: str) -> None:
        await self._patch(token, status="active")

    async def delete(self, token: str) -> None:
        _good(await self.caller.delete(f"{self._path}/{token}"))


class Cloudflare(Speaker):
    name = "cloudflare"
    ids = "ours"
    verbs = frozenset({"create", "look", "rename", "renew", "rotate", "suspend", "resume", "delete"})

    @property
    def _path(self) -> str:
        return f"/cloudflare/client/v4/accounts/{self.account.account.hex}/access/service_tokens"

    async def create(self, name: str) -> str:
        made = _good(await self.caller.post(self._path, {"name": name, "duration": "8760h"}), 201)
        return str(made["result"]["client_secret"])

    async def listed(self) -> dict[str, str]:
        found: dict[str, str] = {}
        page = 1
        while items := _good(await self.caller.get(self._path, page=page, per_page=50))["result"]:
            found |= {each["name"]: each["id"] for each in items}
            page += 1
        return found

    async def look(self, token: str) -> str | None:
        answer = await self.caller.get(f"{self._path}/{token}")
        return None if answer.status == 404 else _good(answer)["result"]["name"]

    async def _put(self, token: str, **changes: object) -> None:
        _good(await self.caller.put(f"{self._path}/{token}", changes))

    async def rename(self, token: str, name: str) -> None:
        await self._put(token, name=name)

    async def renew(self, token: str) -> None:
        await self._put(token, duration="9000h")

    async def suspend(self, token: str) -> None:
        await self._put(token, enabled=False)

    async def resume(self, token: str) -> None:
        await self._put(token, enabled=True)

    async def rotate(self, token: str) -> str:
        return str(_good(await self.caller.post(f"{self._path}/{token}/rotate", {}))["result"]["client_secret"])

    async def delete(self, token: str) -> None:
        _good(await self.caller.delete(f"{self._path}/{token}"))


SPEAKERS: Final[tuple[type[Speaker], ...]] = (Scalingo, Cloudflare, Canvus, Virtuozzo, Losant)
