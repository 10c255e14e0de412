"""Validation errors name what is wrong in plain English and repeat no secret."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from api.service import Caller
from counterfoil.core import moments
from counterfoil_api.application import routes
from counterfoil_api.http.errors import InvalidRequest
from counterfoil_api.operations.forms import fields_in, kinds_of
from counterfoil_api.operations.readers import converted
from counterfoil_api.operations.reading import Source

LEAKS = re.compile(
    r"\||RFC3339 encoded|Expected `|msgspec|`(str|int|array|object|null|float|bool)`|\bNone\b|\bdict\b|<class|Struct\b"
)
"""Words of the library that reads, and of the language that we are written in."""
SECRET = "hunter2-ZfG7q8K1"
WRONG: tuple[Any, ...] = (
    *(None, True, 5, 0, -1, 1.5, 10**30, "", "a", "x" * 40_000, "2027-13-01", "2027-01-01T00:00:00", "7 apples"),
    *([], [1], [[]], ["a", 5], [None] * 2_000, {}, {"a": 1}, {"type": "nobody", "id": 5}, {"nam": "a"}),
)
SHAPES = {
    (route.method, route.path, parameter.source.value): parameter.type
    for route in routes()
    for parameter in route.parameters
    if parameter.source in (Source.BODY, Source.FORM, Source.QUERY)
}


def misread(given: object, shape: type, where: str) -> InvalidRequest | None:
    try:
        converted(given, shape, where=where)
    except InvalidRequest as refusal:
        return refusal
    return None


def attempts(shape: object, depth: int = 0) -> Iterator[Any]:
    """Documents with one error, at every depth."""
    yield from WRONG
    if depth == 3:
        return
    for name, hint in fields_in(shape).items():
        for wrong in attempts(hint, depth + 1):
            yield {name: wrong}
    for kind in kinds_of(shape):
        if getattr(kind, "__origin__", None) in (tuple, list):
            for wrong in attempts(kind.__args__[0], depth + 1):  # type: ignore[attr-defined] # it has an origin
                yield [wrong]


@pytest.mark.parametrize(
    ("operation", "shape"), SHAPES.items(), ids=lambda each: " ".join(each) if isinstance(each, tuple) else ""
)
def test_every_validation_error_is_plain_english(operation: tuple[str, str, str], shape: type) -> None:
    reported = 0
    for given in attempts(shape):
        refusal = misread(given, shape, operation[2])
        if refusal is None:
            continue
        reported += 1
        assert not LEAKS.search(refusal.detail), refusal.detail
        assert re.fullmatch(r"(`[^`]+` is |The \w+ is |There is no ).*[.?]", refusal.detail, re.DOTALL), refusal.detail
        assert refusal.detail.startswith(("The ", "There is no ")) or refusal.facts["field"], refusal.detail
    assert reported


@pytest.mark.parametrize("shape", dict.fromkeys(SHAPES.values()), ids=lambda shape: getattr(shape, "__name__", "?"))
def test_no_field_that_may_hold_a_secret_is_repeated(shape: type) -> None:
    for name in {"password", "secret", "code", "client_secret", "subject_token", "token"} & fields_in(shape).keys():
        for given in ({name: [SECRET]}, {name: {"a": SECRET}}, {name: 123_456_789_012_345}):
            refusal = misread(given, shape, "body")
            assert refusal is None or (SECRET not in refusal.detail and "123456" not in refusal.detail)
        long = misread({name: SECRET * 500}, shape, "body")
        assert long is None or SECRET not in long.detail


@pytest.mark.parametrize(
    ("body", "field", "detail"),
    [
        ({"name": 5}, "name", "`name` is the number 5; it has to be text of 1 to 255 characters."),
        ({"name": "a", "scopes": "a.b"}, "scopes", "`scopes` is `a.b`; it has to be a list, each of them text"),
        ({"name": "a", "scopes": ["a.b", 5]}, "scopes[1]", "`scopes[1]` is the number 5; it has to be text"),
        ({"name": "a", "owner": {"type": "robot", "id": "x"}}, "owner.type",
         "`owner.type` is `robot`; it has to be user, application or service."),
        ({"name": "a", "owner": {"type": "user"}}, "owner.id", "`owner.id` is missing."),
        ({"name": "a", "expires_at": "tomorrow"}, "expires_at",
         "`expires_at` is `tomorrow`; it has to be a moment such as 2027-03-01T12:00:00Z, or a date"),
        ({"name": "a", "expires_at": "2027-02-30"}, "expires_at", "`expires_at` is `2027-02-30`; it has to be"),
        ({"name": "a", "expires_at": "2027-01-31T09:30:00"}, "expires_at",
         "`expires_at` is refused: '2027-01-31T09:30:00' has no time zone; write the time with its zone"),
        ({"name": "a", "scope": ["a.b"]}, "scope", "There is no field `scope`; did you mean `scopes`?"),
        ({"name": "a", "metadata": {"a": 1}}, "metadata",
         "`metadata` is an object with a value of another kind; it has to be an object whose values are text"),
    ],
)  # fmt: skip
async def test_a_refusal_names_what_is_wrong_and_what_is_right(
    admin: Caller, body: dict[str, object], field: str, detail: str
) -> None:
    refused = await admin.post("/v1/tokens", body)
    assert (refused.status, refused.problem, refused.json["field"]) == (422, "invalid-request", field)
    assert refused.json["detail"].startswith(detail), refused.json["detail"]


async def test_a_date_is_the_start_of_its_day_wherever_a_moment_is_expected(admin: Caller) -> None:
    day = (datetime.now(UTC) + timedelta(days=40)).date().isoformat()
    token = (await admin.issue(name="dated", expires_at=day))["token"]
    assert token["expires_at"] == f"{day}T00:00:00Z"
    renewed = await admin.post(f"/v1/tokens/{token['id']}/renew", {"expires_at": day})
    assert renewed.json["expires_at"] == f"{day}T00:00:00Z"
    listed = await admin.get("/v1/tokens", name="dated", expires_after=day, created_after="2020-01-01")
    assert [each["id"] for each in listed.json["items"]] == [token["id"]]
    assert (await admin.get("/v1/tokens", name="dated", expires_before=day)).json["items"] == []
    plan = {"filter": {"name": "dated", "expires_after": day}}
    assert (await admin.post("/v1/revocations/plan", plan)).json["tokens"] == 1
    imported = {"tokens": [{"name": "dated too", "secret": "s3cr3t-Zf7q8K1-1234567890abcdef", "expires_at": day}]}
    assert (await admin.post("/v1/tokens/import", imported)).json["imported"] == 1
    today = datetime.now(UTC).date().isoformat()
    assert (await admin.get(f"/v1/tokens/{token['id']}", as_of=today)).problem == "not-found"
    assert (await admin.get("/v1/tokens/self", as_of="2020-02-30")).json["field"] == "as_of"


async def test_every_error_of_a_lifetime_has_its_own_message(admin: Caller) -> None:
    for lifetime, field, stated in (
        ({"lifetime": "1d", "expires_at": "2027-01-01"}, "expires_at", "not both"),
        ({"expires_at": "9999-01-01"}, "expires_at", "years 1970 and 9999"),
        ({"expires_at": "1969-12-31"}, "expires_at", "1970"),
        ({"lifetime": "soon"}, "lifetime", "'soon' is not a duration"),
        ({"lifetime": "0s"}, "lifetime", "forever"),
        ({"lifetime": "999999d"}, "lifetime", "hundred years"),
    ):
        refused = await admin.post("/v1/tokens", {"name": "a", **lifetime})
        assert (refused.status, refused.json.get("field")) == (422, field), (lifetime, refused.body)
        assert stated in refused.json["detail"]
    token = (await admin.issue())["token"]["id"]
    rotated = await admin.post(f"/v1/tokens/{token}/rotate", {"grace": "1h", "lifetime": "soon"})
    assert (rotated.status, rotated.problem) == (409, "lifetime-unwanted")
    exchanged = await admin.post("/v1/exchange", {"lifetime": "soon"})
    assert (exchanged.problem, exchanged.json["field"]) == ("bad-duration", "lifetime")
    policy = await admin.patch("/v1/account", {"policy": {"max_lifetime": "soon"}})
    assert (policy.problem, policy.json["field"]) == ("bad-policy", "max_lifetime")


def test_a_json_document_is_read_alike_in_one_pass_and_in_two() -> None:
    for shape in set(SHAPES.values()):
        if isinstance(shape, type) and issubclass(shape, msgspec.Struct):
            assert fields_in(shape).keys() == set(shape.__struct_fields__)


NAIVE = "2026-03-01T12:00:00"


async def test_a_time_without_a_zone_is_refused_in_the_same_words_everywhere(admin: Caller) -> None:
    ref = (await admin.issue())["token"]["id"]
    imported = {"name": "x", "secret": "s" * 30, "created_at": NAIVE}
    for answer in (
        await admin.post("/v1/tokens", {"name": "x", "expires_at": NAIVE}),
        await admin.post(f"/v1/tokens/{ref}/renew", {"expires_at": NAIVE}),
        await admin.post("/v1/tokens/import", {"tokens": [imported]}),
        await admin.get("/v1/tokens", created_before=NAIVE),
        await admin.get(f"/v1/tokens/{ref}", as_of=NAIVE),
        await admin.get("/v1/account/events", since=NAIVE),
        await admin.get("/v1/events", until=NAIVE),
        await admin.post("/v1/revocations/plan", {"filter": {"created_after": NAIVE}}),
    ):
        assert answer.status == 422
        assert str(answer.json["detail"]).endswith(f"{moments.zoneless(NAIVE)}.")
