"""K47. A refused login tells neither who exists, nor what about them was wrong, nor by how long it took."""

from statistics import median
from time import perf_counter
from uuid import uuid4

import pytest

from api.people import Person, person
from api.service import Answer, Caller, basic
from counterfoil_api.auth.passwords import Passwords
from counterfoil_api.limits import logins
from counterfoil_api.limits.logins import Delays

WRONG = "a password that is not theirs"


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long each hash took that was computed for a login."""
    took, real = [], Passwords._verify

    def timed(*given: object) -> bool:
        began = perf_counter()
        right: bool = real(*given)  # type: ignore[arg-type] # handed on as it came
        took.append(perf_counter() - began)
        return right

    monkeypatch.setattr(Passwords, "_verify", timed)
    monkeypatch.setattr(logins, "HERE", Delays(free=50, first_seconds=1, longest_seconds=1))
    return took


async def refused(admin: Caller) -> dict[str, Caller]:
    """Everybody who is refused, and why."""
    known, disabled, removed, careful = [await person(admin) for _ in range(4)]
    await admin.post(f"/v1/users/{disabled.id}/disable", {"reason": "x"})
    await admin.post(f"/v1/users/{removed.id}/remove", {"reason": "x"})
    codes = await careful.enrolled()
    await careful.asks(otp=codes[0]).get("/v1/users/self")
    return {
        "nobody": Caller(admin.session, basic(f"{uuid4().hex}@nowhere.example.org", WRONG)),
        "wrong password": known.asks(password=WRONG),
        "disabled": disabled.asks(),
        "disabled, wrong password": disabled.asks(password=WRONG),
        "removed": removed.asks(),
        "wrong password, no code": careful.asks(password=WRONG),
        "wrong password, right code": careful.asks(password=WRONG, otp=careful.code()),
        "wrong code": careful.asks(otp="000000"),
        "spent recovery code": careful.asks(otp=codes[0]),
    }


def told(answer: Answer) -> tuple[int, bytes, dict[str, str]]:
    changing = {"x-request-id", "date", "ratelimit"}  # the last counts down by one for each of them
    headers = {name: value for name, value in answer.headers.items() if name.lower() not in changing}
    return answer.status, answer.body, headers


async def test_k47_every_refused_login_is_answered_alike(admin: Caller) -> None:
    answers = {why: told(await caller.get("/v1/users/self")) for why, caller in (await refused(admin)).items()}
    first = answers["nobody"]
    assert first[0] == 401
    for why, answer in answers.items():
        assert answer == first, why


async def test_k47_every_refused_login_costs_one_hash_of_the_same_kind(admin: Caller, verified: list[float]) -> None:
    took: dict[str, float] = {}
    for why, caller in (await refused(admin)).items():
        verified.clear()
        for _ in range(3):
            await caller.get("/v1/users/self")
        assert len(verified) == 3, why
        took[why] = median(verified)
    # The hash is nearly all of the time; a machine that is busy with other things may double it, not more.
    assert max(took.values()) < 4 * min(took.values())


async def test_k47_an_address_that_is_taken_tells_nothing_of_whose_it_is(admin: Caller, stranger: Caller) -> None:
    ada: Person = await person(admin)
    taken = await stranger.post("/v1/users", {"email": ada.email, "role": "member"})
    assert set(taken.json) == {"type", "title", "status", "detail"}
    assert ada.id not in taken.body.decode()
    assert (await stranger.get("/v1/users", email=ada.email)).json["items"] == []
