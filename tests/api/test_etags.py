"""If-Match and If-None-Match: accepted values, their meaning, and robustness against any bytes."""

import asyncio
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from api.service import Caller
from counterfoil_api.http.errors import InvalidPrecondition
from counterfoil_api.operations.etags import etag, expectation


@given(st.lists(st.integers(1, 10**15), min_size=1), st.sampled_from([",", ", ", " ,\t", ", ,"]))
def test_every_etag_of_ours_is_read_back(revisions: list[int], comma: str) -> None:
    assert expectation(comma.join(etag(revision) for revision in revisions)) == frozenset(revisions)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(InvalidPrecondition):
        expectation(text)


@pytest.mark.parametrize(
    "tag",
    [
        *('"abc"', '""', '"0"', '"-1"', '"01"', '"1.0"', '"99999999999999999"', '"1é"', '"1-"', '"1-zip"'),
        *('"1-9c1185a5c5e9fc5"', '"1-9C1185A5C5E9FC54"', '"1-gzip-gzip"'),
    ],
)
def test_etags_that_are_not_ours_match_nothing(tag: str) -> None:
    assert expectation(tag) == frozenset()


def test_a_star_matches_any_representation() -> None:
    assert expectation(" * ") is None


@pytest.mark.parametrize(
    "tag", ['"7"', '"7-9c1185a5c5e9fc54"', '"7-gzip"', '"7;gzip"', '"7--br"', '"7-9c1185a5c5e9fc54-gzip"']
)
def test_an_etag_identifies_a_revision_whatever_its_suffix(tag: str) -> None:
    assert expectation(tag) == frozenset({7})


@pytest.mark.parametrize("header", ['"1",', ',"1"', ' , ,"1" , ', '"1",,\t"1"'])
def test_empty_elements_of_a_list_are_ignored(header: str) -> None:
    assert expectation(header) == frozenset({1})


@pytest.mark.parametrize("header", ["", ",", " , ,", "1", '"1" "2"', '"1', "W/1", 'w/"1"', '*, "1"', '"1"; "2"'])
def test_an_invalid_list_of_etags_is_refused(header: str) -> None:
    with pytest.raises(InvalidPrecondition, match="If-Match takes"):
        expectation(header)


def test_a_weak_etag_matches_nothing_and_does_not_hide_a_strong_one() -> None:
    assert expectation('W/"2"') == frozenset()
    assert expectation('W/"2", "1"') == frozenset({1})


async def test_if_match_accepts_the_etag_of_a_get_after_the_token_was_used(admin: Caller) -> None:
    token = (await admin.issue(scopes=["self.rotate"]))["token"]["id"]
    tag = (await admin.get(f"/v1/tokens/{token}")).headers["ETag"]
    changed = await admin.patch(f"/v1/tokens/{token}", {"description": "a"}, If_Match=tag)
    assert (changed.status, changed.headers["ETag"]) == (200, '"2"')
    assert (await admin.patch(f"/v1/tokens/{token}", {"description": "b"}, If_Match=tag)).problem == "stale-revision"


@pytest.mark.parametrize("tag", ['W/"1"', 'W/"1-9c1185a5c5e9fc54"', 'W/"1-gzip"', 'W/"9", W/"1"'])
async def test_an_etag_weakened_by_a_proxy_is_explained(admin: Caller, tag: str) -> None:
    token = (await admin.issue())["token"]["id"]
    refused = await admin.patch(f"/v1/tokens/{token}", {"description": "a"}, If_Match=tag)
    assert (refused.status, refused.problem) == (412, "weak-tag")
    assert "W/" in refused.json["detail"]
    assert 'send "' in refused.json["detail"]
    assert (await admin.get(f"/v1/tokens/{token}")).json["revision"] == 1


async def test_a_weak_etag_hides_no_other_refusal(admin: Caller, stranger: Caller) -> None:
    token = (await admin.issue())["token"]["id"]
    assert (await stranger.patch(f"/v1/tokens/{token}", {"name": "b"}, If_Match='W/"1"')).problem == "not-found"
    secretlike = 'W/"s3cr3t-of-somebody"'
    refused = await admin.patch(f"/v1/tokens/{token}", {"name": "b"}, If_Match=secretlike)
    assert refused.problem == "stale-revision"
    assert "s3cr3t" not in refused.body.decode()


@pytest.mark.parametrize(
    "lines",
    [['"1",'], [',"1"'], ['"1"', ""], ["", '"1"'], ["", ' , "9"', ",", '"1" ,'], ['"9"', '"1-9c1185a5c5e9fc54",,']],
)
async def test_several_header_lines_are_one_list_and_empty_lines_are_ignored(admin: Caller, lines: list[str]) -> None:
    token = (await admin.issue())["token"]["id"]
    sent = CIMultiDict([("Authorization", admin.credentials), *(("If-Match", line) for line in lines)])
    async with admin.session.patch(f"/v1/tokens/{token}", json={"description": "a"}, headers=sent) as answer:
        assert (answer.status, answer.headers["ETag"]) == (200, '"2"'), await answer.text()


async def test_a_304_does_not_hide_a_use_by_introspection_or_by_the_token_itself(admin: Caller) -> None:
    issued = await admin.issue()
    path = f"/v1/tokens/{issued['token']['id']}"
    tags = [(await admin.get(path)).headers["ETag"]]
    for how in ("introspection", "by itself"):
        if how == "introspection":
            used = await admin.form("/v1/introspect", token=issued["secret"])
        else:
            used = await admin.with_token(issued["secret"]).get("/v1/tokens/self")
        assert used.status == 200
        async with asyncio.timeout(20):
            while (seen := await admin.ask("GET", path, headers={"If-None-Match": ", ".join(tags)})).status == 304:  # noqa: ASYNC110 - it is written once a second
                await asyncio.sleep(0.05)
        assert seen.json["last_used_at"] is not None
        tags.append(seen.headers["ETag"])
    assert len(set(tags)) == 3


async def readable(admin: Caller) -> list[str]:
    """All that a GET returns under an ETag."""
    token = (await admin.issue())["token"]["id"]
    user = (await admin.get("/v1/users", limit=1)).json["items"][0]["id"]
    plan = (await admin.post("/v1/revocations/plan", {"filter": {"name": "nobody"}})).json["plan"]
    order = {"filter": {"name": "nobody"}, "plan": plan, "reason": "for the test"}
    revocation = (await admin.post("/v1/revocations", order)).json["id"]
    await admin.post(f"/v1/revocations/{revocation}/cancel")
    return [f"/v1/tokens/{token}", f"/v1/tokens/{token}?as_of=1", f"/v1/users/{user}", "/v1/account",
            f"/v1/revocations/{revocation}"]  # fmt: skip


async def test_a_document_that_the_caller_has_is_not_sent_again(admin: Caller) -> None:
    for path in await readable(admin):
        whole = await admin.get(path)
        tag = whole.headers["ETag"]
        for header in (tag, f"W/{tag}", f'"x", {tag}', "*", f'{tag[:-1]}-gzip"', f'{tag[:-1]};gzip"', f"W/{tag},"):
            same = await admin.ask("GET", path, headers={"If-None-Match": header})
            assert (same.status, same.body, same.headers["ETag"]) == (304, b"", tag), (path, header)
            assert same.headers["Cache-Control"] == whole.headers["Cache-Control"]
            assert "Content-Type" not in same.headers
        other = await admin.ask("GET", path, headers={"If-None-Match": '"1", W/"2"'})
        assert (other.status, other.headers["ETag"]) == (200, tag), path
        head = await admin.ask("HEAD", path, headers={"If-None-Match": tag})
        assert (head.status, head.headers["ETag"]) == (304, tag)


async def test_a_304_does_not_hide_a_use_of_a_token(admin: Caller) -> None:
    issued = await admin.issue(name="used between two looks")
    path = f"/v1/tokens/{issued['token']['id']}"
    before = await admin.get(path)
    assert before.json["last_used_at"] is None
    assert (
        await admin.with_token(issued["secret"]).post("/v1/exchange", {"audience": "https://a.example"})
    ).status == 200
    after = await admin.ask("GET", path, headers={"If-None-Match": before.headers["ETag"]})
    assert (after.status, after.json["revision"]) == (200, before.json["revision"])
    assert after.json["last_used_at"] is not None


async def test_an_invalid_etag_is_also_refused_in_if_none_match(admin: Caller) -> None:
    refused = await admin.ask("GET", "/v1/account", headers={"If-None-Match": "1"})
    assert (refused.status, refused.problem) == (400, "invalid-precondition")
    assert refused.json["detail"].startswith("If-None-Match takes")
    assert (await Caller(admin.session, "").ask("GET", "/v1/account", headers={"If-None-Match": "*"})).status == 401
