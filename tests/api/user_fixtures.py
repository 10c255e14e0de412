"""Users with roles, who authenticate with a password and one-time codes."""

from dataclasses import dataclass, field
from itertools import count
from time import time
from typing import Any

from pyotp import TOTP

from api.service import Caller, basic

_NUMBERS = count(1)
PASSWORD = "correct mule accumulator nail"


@dataclass(slots=True)
class Person:
    """A user of our account with password and seed."""

    id: str
    number: int
    email: str
    login: str
    password: str
    admin: Caller
    seed: str = ""
    recovery_codes: list[str] = field(default_factory=list)

    def asks(self, *, otp: str | None = None, password: str | None = None) -> Caller:
        """Return a caller with the password, and with a code if enrolled."""
        headers = {} if otp is None else {"X-Authorization-OTP": otp}
        return Caller(self.admin.session, basic(self.login, password or self.password), headers)

    async def enrolled(self) -> list[str]:
        """Enrol in one-time codes with the code of the previous step; return the recovery codes."""
        begun = await self.asks().post("/v1/users/self/totp")
        assert begun.status == 200, begun.body
        self.seed = begun.json["secret"]
        for _ in range(2):  # a step may begin between our clock and the service's
            confirmed = await self.asks().post("/v1/users/self/totp/confirm", {"code": self.code(-1)})
            if confirmed.status == 200:
                break
        assert confirmed.status == 200, confirmed.body
        codes: list[str] = confirmed.json["recovery_codes"]
        return codes

    def code(self, later: int = 0) -> str:
        """Return the present code, or that of a later step."""
        return TOTP(self.seed).at(time(), counter_offset=later)


async def person(
    admin: Caller, role: str = "member", *, scopes: tuple[str, ...] = (), password: str = PASSWORD
) -> Person:
    """A new user."""
    email = f"person-{next(_NUMBERS)}@ours.example.org"
    made = await admin.post("/v1/users", {"email": email, "role": role, "scopes": scopes, "password": password})
    assert made.status == 201, made.body
    user: Any = made.json["user"]
    return Person(user["id"], user["number"], email, user["login"], password, admin)
