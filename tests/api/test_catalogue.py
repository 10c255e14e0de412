"""The catalogue describes scopes; sets are granted by name and become scopes of the token."""

import pytest

from api.service import Caller


async def test_a_scope_is_described_changed_and_removed(admin: Caller, stranger: Caller) -> None:
    stated = {"sentence": "Read invoices.", "documentation": "https://docs.example/invoices"}
    put = await admin.put("/v1/scopes/invoices.read", stated)
    assert (put.status, put.json["revision"]) == (200, 1)
    assert (await admin.put("/v1/scopes/invoices.read", stated)).json["revision"] == 1
    changed = await admin.put("/v1/scopes/invoices.read", {"sentence": "Read all invoices."})
    assert changed.json == {
        "scope": "invoices.read", "sentence": "Read all invoices.", "documentation": None, "built_in": False,
        "revision": 2,
    }  # fmt: skip
    listed = {item["scope"]: item for item in (await admin.get("/v1/scopes")).json["items"]}
    assert listed["invoices.read"]["sentence"] == "Read all invoices."
    assert listed["tokens.read"]["built_in"] is True
    assert "invoices.read" not in {item["scope"] for item in (await stranger.get("/v1/scopes")).json["items"]}
    assert (await stranger.delete("/v1/scopes/invoices.read")).problem == "not-found"
    assert (await admin.delete("/v1/scopes/invoices.read")).status == 200
    assert (await admin.delete("/v1/scopes/invoices.read")).problem == "not-found"
    assert "invoices.read" not in {item["scope"] for item in (await admin.get("/v1/scopes")).json["items"]}
    assert (await admin.put("/v1/scopes/invoices.read", stated)).json["revision"] == 4


@pytest.mark.parametrize(
    ("path", "body", "problem"),
    [
        ("/v1/scopes/*", {"sentence": ""}, "bad-scope"),
        ("/v1/scopes/a..b", {"sentence": ""}, "bad-scope"),
        ("/v1/scopes/a.b", {"sentence": "x\x00"}, "bad-text"),
        ("/v1/scopes/a.b", {"sentence": "x", "documentation": "javascript:alert(1)"}, "bad-link"),
        ("/v1/scopes/a.b", {"sentence": "x", "documentation": "https://a b"}, "bad-link"),
        ("/v1/scope-sets/x", {"scopes": []}, "bad-scope"),
        ("/v1/scope-sets/x", {"scopes": ["a..b"]}, "bad-scope"),
        ("/v1/scope-sets/verifier", {"scopes": ["all"]}, "bad-text"),
    ],
)
async def test_an_invalid_description_is_refused(
    admin: Caller, path: str, body: dict[str, object], problem: str
) -> None:
    assert (await admin.put(path, body)).problem == problem


async def test_sets_are_granted_by_name_and_become_scopes_of_the_token(admin: Caller) -> None:
    put = await admin.put("/v1/scope-sets/billing", {"scopes": ["invoices.read", "invoices.pay"]})
    assert put.json["scopes"] == ["invoices.read", "invoices.pay"]
    body = {"name": "cashier", "scopes": ["mail.send", "invoices.pay"], "scope_sets": ["billing", "verifier"]}
    token = (await admin.post("/v1/tokens", body)).json["token"]
    assert token["scopes"] == ["mail.send", "invoices.pay", "invoices.read", "tokens.introspect"]
    await admin.put("/v1/scope-sets/billing", {"scopes": ["all"]})
    assert (await admin.get(f"/v1/tokens/{token['id']}")).json["scopes"] == token["scopes"]
    unknown = await admin.post("/v1/tokens", {"name": "n", "scope_sets": ["bilking"]})
    assert (unknown.status, unknown.problem, unknown.json["field"]) == (422, "bad-scope", "scope_sets")


async def test_a_set_gives_a_caller_no_more_than_they_hold(admin: Caller) -> None:
    await admin.put("/v1/scope-sets/everything", {"scopes": ["all"]})
    issued = (await admin.post("/v1/tokens", {"name": "i", "scopes": ["tokens.create", "mail.send"]})).json
    issuer = Caller(admin.session, f"Bearer {issued['secret']}")
    refused = await issuer.post("/v1/tokens", {"name": "n", "scope_sets": ["everything"]})
    assert refused.problem == "beyond-caller"


async def test_an_editor_of_the_catalogue_cannot_add_scopes_that_they_do_not_hold(admin: Caller) -> None:
    path = "/v1/scope-sets/payroll"
    assert (await admin.put(path, {"scopes": ["payroll.read"]})).status == 200
    editor = await admin.holder("scopes.update", "scopes.read", "mail.send")
    for answer in (
        await editor.put(path, {"scopes": ["payroll.read", "all"]}),
        await editor.put(path, {"scopes": ["mail.send"]}),
        await editor.put(path, {"scopes": ["payroll.read"], "sentence": "Harmless."}),
        await editor.delete(path),
        await editor.put("/v1/scope-sets/mailers", {"scopes": ["payroll.read"]}),
    ):
        assert (answer.status, answer.problem) == (403, "beyond-caller")
    assert (await editor.put("/v1/scope-sets/mailers", {"scopes": ["mail.send"]})).status == 200
    issued = (await admin.post("/v1/tokens", {"name": "n", "scope_sets": ["payroll", "mailers"]})).json["token"]
    assert issued["scopes"] == ["payroll.read", "mail.send"]


async def test_a_long_catalogue_is_paginated(admin: Caller) -> None:
    names = [f"paged.scope-{n:02}" for n in range(25)]
    for name in names:
        await admin.put(f"/v1/scopes/{name}", {"sentence": "x"})
    found, cursor = [], ""
    while True:
        page = (await admin.get(f"/v1/scopes?limit=10{cursor}")).json
        found += [item["scope"] for item in page["items"] if not item["built_in"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert [name for name in found if name.startswith("paged.")] == names
    assert len(found) == len(set(found))


async def test_a_set_is_found_in_every_spelling_of_its_name(admin: Caller) -> None:
    put = await admin.put("/v1/scope-sets/cre%CC%80me", {"scopes": ["mail.send"]})
    assert put.json["name"] == "cr\u00e8me"
    assert (await admin.put("/v1/scope-sets/cr%C3%A8me%20", {"scopes": ["mail.send"]})).json["revision"] == 1
    issued = await admin.post("/v1/tokens", {"name": "n", "scope_sets": ["cre\u0300me "]})
    assert issued.json["token"]["scopes"] == ["mail.send"]
    assert (await admin.put("/v1/scope-sets/verifier%20", {"scopes": ["mail.send"]})).problem == "bad-text"
    assert (await admin.delete("/v1/scope-sets/cr%C3%A8me")).status == 200
