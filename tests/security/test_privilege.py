"""C. No call and no spelling gives a caller scopes that it does not hold."""

from typing import Any

import pytest

from api.service import Caller

ODD: list[Any] = [
    None, "all", "", {}, ["*"], ["ALL"], ["All"], ["all."], ["all.*"], ["a.b."], ["A.b"], [".a"], ["a..b"], [""],
    [None], ["a.*"], ["a"], ["unknown.scope"], ["a.b", "all"], [["a.b"]], ["a.b "], ["tokens"], ["*.*"],
]  # fmt: skip
CALLS = {
    "create": ("POST", "/v1/tokens", {"name": "child", "lifetime": "10m"}),
    "clone": ("POST", "/v1/tokens/self/clone", {"name": "child", "lifetime": "10m"}),
    "edit": ("PATCH", "/v1/tokens/self", {}),
    "exchange": ("POST", "/v1/exchange", {}),
}


async def asked(caller: Caller, call: str, more: dict[str, Any]) -> tuple[int, list[str] | None]:
    """The status and the granted scopes; None if refused."""
    method, path, body = CALLS[call]
    answer = await (caller.post if method == "POST" else caller.patch)(path, {**body, **more})
    if answer.status >= 400:
        return answer.status, None
    said = answer.json
    return answer.status, said["scope"].split() if "scope" in said else said.get("token", said)["scopes"]


@pytest.mark.parametrize("call", CALLS)
async def test_invalid_scopes_are_refused_and_never_mean_everything(admin: Caller, call: str) -> None:
    caller = await admin.holder("a.b", "tokens.*", lifetime="1h")
    answers = [(scopes, *await asked(caller, call, {"scopes": scopes})) for scopes in ODD]
    assert [each for each in answers if each[1] not in (403, 422)] == []
    assert (await caller.get("/v1/tokens/self")).json["scopes"] == ["a.b", "tokens.*"]


@pytest.mark.parametrize(
    ("call", "omitted"),
    [("create", []), ("clone", ["a.b", "tokens.*"]), ("edit", ["a.b", "tokens.*"]), ("exchange", ["a.b", "tokens.*"])],
)
async def test_empty_scopes_give_none_and_omitted_scopes_at_most_the_present_ones(
    admin: Caller, call: str, omitted: list[str]
) -> None:
    caller = await admin.holder("a.b", "tokens.*", lifetime="1h")
    assert (await asked(caller, call, {}))[1] == omitted
    assert (await asked(caller, call, {"scopes": []}))[1] == []


@pytest.mark.parametrize("lifetime", [
    {"lifetime": "0s"}, {"lifetime": "-1h"}, {"lifetime": ""}, {"lifetime": 0}, {"lifetime": "0"}, {"lifetime": "1"},
    {"lifetime": "9" * 30 + "d"}, {"lifetime": "99999w"}, {"lifetime": "1e9s"}, {"lifetime": "nan"},
    {"lifetime": "2h"}, {"lifetime": "forever"}, {}, {"lifetime": None}, {"expires_at": None},
    {"expires_at": "9999-12-31T23:59:59Z"}, {"expires_at": "10000-01-01T00:00:00Z"}, {"expires_at": 0},
    {"expires_at": "2016-12-31T23:59:60Z"}, {"expires_at": "2030-02-30T00:00:00Z"}, {"lifetime": "inf"},
    {"expires_at": "2100-01-01T00:00:00"}, {"lifetime": "1m", "expires_at": "2030-01-01T00:00:00Z"},
])  # fmt: skip
async def test_no_spelling_of_a_lifetime_outlives_its_caller(admin: Caller, lifetime: dict[str, Any]) -> None:
    caller = await admin.holder("tokens.*", lifetime="1h")
    for path in ("/v1/tokens", "/v1/tokens/self/clone"):
        answer = await caller.post(path, {"name": "child", **lifetime})
        if answer.status == 201:  # a clone has the lifetime of its original, bounded by its caller
            ends, own = answer.json["token"]["expires_at"], (await caller.get("/v1/tokens/self")).json["expires_at"]
            assert ends is not None
            assert ends <= own
        else:
            assert answer.status in (403, 422)
