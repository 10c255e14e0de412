"""K47. A refused login reveals neither whether a user exists nor what was wrong, not even by its duration."""

from uuid import uuid4

import pytest
from argon2 import Parameters, PasswordHasher, extract_parameters

from api.service import Answer, Caller, basic
from api.user_fixtures import person

WRONG = "a password that is not theirs"


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[Parameters]:
    """The cost of each hash that a login computes."""
    costs, real = [], PasswordHasher.verify

    def noted(hasher: PasswordHasher, known: str, password: str) -> bool:
        costs.append(extract_parameters(known))
        return real(hasher, known, password)

    monkeypatch.setattr(PasswordHasher, "verify", noted)
    return costs


async def refused(admin: Caller, stranger: Caller) -> dict[str, Caller]:
    """All logins that are refused, with the reason."""
    ours, theirs = [(await caller.get("/v1/account")).json["id"] for caller in (admin, stranger)]
    known, disabled, removed, careful = [await person(admin) for _ in range(4)]
    await admin.post(f"/v1/users/{disabled.id}/disable", {"reason": "x"})
    await admin.post(f"/v1/users/{removed.id}/remove", {"reason": "x"})
    codes = await careful.enrolled()
    await careful.asks(otp=codes[0]).get("/v1/users/self")
    return {
        "nobody": Caller(admin.session, basic(f"{uuid4().hex}@nowhere.example.org", WRONG)),
        "nobody of ours": Caller(admin.session, basic(f"{ours}/{uuid4().hex}@nowhere.example.org", WRONG)),
        "no such account": Caller(admin.session, basic(f"{uuid4()}/{known.email}", known.password)),
        "another account": Caller(admin.session, basic(f"{theirs}/{known.email}", known.password)),
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
    changing = {"x-request-id", "date", "ratelimit"}  # the last counts down with each request
    headers = {name: value for name, value in answer.headers.items() if name.lower() not in changing}
    return answer.status, answer.body, headers


async def test_every_refused_login_gets_the_same_answer(admin: Caller, stranger: Caller) -> None:
    everybody = await refused(admin, stranger)
    answers = {why: told(await caller.get("/v1/users/self")) for why, caller in everybody.items()}
    first = answers["nobody"]
    assert first[0] == 401
    for why, answer in answers.items():
        assert answer == first, why


async def test_every_refused_login_costs_one_hash_of_the_same_kind(
    admin: Caller, stranger: Caller, verified: list[Parameters]
) -> None:
    costs: dict[str, list[Parameters]] = {}
    for why, caller in (await refused(admin, stranger)).items():
        verified.clear()
        assert (await caller.get("/v1/users/self")).status == 401
        costs[why] = list(verified)
    assert len(costs["nobody"]) == 1
    assert [why for why, each in costs.items() if each != costs["nobody"]] == []


async def test_no_form_reveals_whether_an_address_exists_in_another_account(admin: Caller, stranger: Caller) -> None:
    taken = [(await person(admin)).email for _ in range(10)]
    free = [f"{uuid4().hex}@ours.example.org" for _ in taken]
    probes = [email for pair in zip(taken, free, strict=True) for email in pair] * 2
    member = (await stranger.post("/v1/users", {"email": f"{uuid4().hex}@x.org", "role": "member"})).json["user"]
    moved = [await stranger.patch(f"/v1/users/{member['id']}", {"email": email}) for email in probes]
    assert {(answer.status, frozenset(answer.json)) for answer in moved} == {(200, frozenset(member))}
    assert [answer.json["email"] for answer in moved] == probes
    added = [await stranger.post("/v1/users", {"email": email, "role": "member"}) for email in (*taken, *free)]
    assert [answer.status for answer in added] == [201] * 19 + [409]  # the last address was taken by the member
    first = {"password": "four words and a 4th"}
    bodies = [{"name": "Probe", "administrator": {**first, "email": email}} for email in (*taken, *free)]
    assert {(await stranger.post("/v1/accounts", body)).status for body in bodies} == {201}
    assert (await stranger.get("/v1/users", email="person-*")).json["items"]
    assert (await admin.get("/v1/users", email=free[0])).json["items"] == []
