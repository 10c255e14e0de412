"""Every refusal has one wire shape and reveals no secret."""

import json
import re

import msgspec

from counterfoil.core import refusals
from counterfoil.core.bounds import Uncounted
from counterfoil.core.refusals import BadScope, Refusal, StaleRevision
from counterfoil_api.http import errors
from counterfoil_api.http.problems import KINDS, problem, problem_document


def answers(kind: type[Refusal]) -> set[type[Refusal]]:
    """Every refusal that is raised; classes with subclasses in the same module only group them."""
    sorts = any(below.__module__ == kind.__module__ for below in kind.__subclasses__())
    return (set() if sorts else {kind}).union(*(answers(below) for below in kind.__subclasses__()))


def test_every_refusal_has_a_shape() -> None:
    ours = {each for each in answers(Refusal) if each.__module__.startswith("counterfoil")}
    # A message from the door to the API, which counts the call and retries; no caller ever sees it.
    assert ours - {Uncounted} == set(KINDS)


def test_a_type_means_one_thing() -> None:
    by_name = {kind.name: kind for kind in KINDS.values()}
    assert all(by_name[kind.name] == kind for kind in KINDS.values())
    assert all(kind.name == kind.name.lower().replace("_", "-") for kind in KINDS.values())


def test_problem_types_are_stable() -> None:
    # Only add to this table: client programs recognise problems by these names.
    assert sorted((kind.status, kind.name) for kind in set(KINDS.values())) == [
        (400, "assertion-refused"),
        (400, "beyond-log"), (400, "credentials-in-query"), (400, "credentials-repeated"), (400, "exchange-refused"),
        (400, "invalid-precondition"), (400, "malformed-request"), (400, "target-refused"),
        (400, "unsupported-grant-type"), (400, "unsupported-token-type"), (401, "already-accepted"),
        (401, "credentials-missing"),
        (401, "credentials-refused"), (401, "maker-gone"),
        (401, "otp-required"), (401, "owner-disabled"), (401, "secret-ended"),
        (401, "secret-retired"), (401, "token-expired"), (401, "token-revoked"), (401, "token-suspended"),
        (401, "trust-refused"),
        (401, "unknown-scheme"), (401, "uses-exhausted"), (403, "beyond-audience"), (403, "beyond-caller"),
        (403, "beyond-owner"), (403, "beyond-policy"), (403, "cross-site"),
        (403, "network-forbidden"), (403, "not-verified"), (403, "operator-only"), (403, "password-needed"),
            (403, "proxy-misconfigured"),
        (403, "renews-itself"), (403, "scope-missing"), (403, "token-network-forbidden"),
        (404, "bad-reference"), (404, "no-such-path"),
        (404, "not-found"), (405, "method-not-allowed"), (408, "request-timeout"), (409, "already-exists"),
        (409, "already-revoked"), (409, "caller-changed"), (409, "email-taken"), (409, "in-use"),
        (409, "last-administrator"),
        (409, "lifetime-required"), (409, "lifetime-unwanted"), (409, "new-secret-unused"),
        (409, "no-secret"), (409, "no-trust"),
        (409, "nothing-to-renew"),
        (409, "owner-quota-exceeded"), (409, "plan-changed"),
        (409, "previous-secret-ended"), (409, "previous-secret-good"),
        (409, "secret-taken"), (409, "shuts-you-out"), (409, "subscription-inactive"), (409, "too-early"),
        (409, "too-many-subscriptions"), (409, "user-gone"),
        (410, "secret-no-longer-available"), (412, "stale-revision"), (412, "weak-tag"), (413, "body-too-large"),
        (415, "unsupported-media-type"), (417, "expectation-failed"), (422, "bad-code"), (422, "bad-cursor"),
        (422, "bad-duration"), (422, "bad-email"), (422, "bad-expiry"), (422, "bad-link"), (422, "bad-metadata"),
        (422, "bad-network"), (422, "bad-owner"), (422, "bad-password"), (422, "bad-policy"), (422, "bad-quota"),
        (422, "bad-rate-limit"), (422, "bad-scope"), (422, "bad-secret"), (422, "bad-target"),
        (422, "bad-text"), (422, "bad-trust"), (422, "entry-too-large"), (422, "invalid-request"), (422, "key-reused"),
        (422, "key-too-short"), (422, "unknown-user"), (422, "weak-secret"), (429, "rate-limited"),
        (429, "too-many-streams"),
        (431, "headers-too-large"),
        (500, "internal-error"), (503, "busy"),
        (503, "issuer-unavailable"), (503, "misconfigured"), (503, "outcome-unknown"), (503, "overloaded"),
    ]  # fmt: skip


def test_a_problem_has_the_members_of_rfc_9457_and_its_facts() -> None:
    assert problem_document(StaleRevision(revision=7)) == {
        "type": "urn:counterfoil:problem:stale-revision",
        "title": "Changed since it was read",
        "status": 412,
        "detail": StaleRevision.__doc__,
        "revision": 7,
    }


def test_facts_never_replace_standard_members() -> None:
    assert problem_document(StaleRevision(status=200, type="x"))["status"] == 412


def test_secrets_are_filtered_out_last() -> None:
    secret, bearer = "cfl_service_abcDEF123", "eyJhbGciOi.eyJpc3Mi.c2ln-_"
    body = problem(BadScope(f"'{secret}' is not a scope", scopes=[bearer])).body
    assert isinstance(body, bytes)
    assert json.loads(body)["detail"] == "'…' is not a scope"
    assert b"eyJ" not in body
    for behind in (f"cfl_user_{'A' * 46}{secret}", f"x{bearer}", f"eyJa.b.{bearer}", f"{secret}{bearer}"):
        detail = str(problem_document(BadScope(behind))["detail"])
        assert "abcDEF" not in detail
        assert "c2ln" not in detail


def test_a_refused_caller_gets_challenges() -> None:
    assert problem(errors.CredentialsMissing()).headers["WWW-Authenticate"] == 'Bearer realm="counterfoil"'
    assert problem(refusals.TokenExpired()).headers["WWW-Authenticate"] == (
        'Bearer realm="counterfoil", error="invalid_token", error_description="The token has expired"'
    )
    assert problem(refusals.ScopeMissing(scope="tokens.read")).headers["WWW-Authenticate"] == (
        'Bearer realm="counterfoil", error="insufficient_scope", error_description="Missing scope", scope="tokens.read"'
    )
    assert 'error="invalid_request"' in problem(errors.CredentialsInQuery()).headers["WWW-Authenticate"]
    assert problem(refusals.Overloaded()).headers["Retry-After"] == "1"


def test_every_challenge_can_be_parsed() -> None:
    challenged = [problem(refusal()).headers.get("WWW-Authenticate") for refusal in KINDS]
    parameter = r'[a-z_]+="[ !#-\[\]-~]*"'
    assert len([each for each in challenged if each]) > 8
    assert [
        each for each in challenged if each and not re.fullmatch(rf"Bearer {parameter}(, {parameter})*", each)
    ] == []


def test_a_refusal_without_a_shape_is_a_bug() -> None:
    class Unheard(Refusal):
        pass

    assert problem(Unheard()).status == 500
    assert msgspec.json.decode(problem(Unheard()).body or b"")["type"].endswith(":internal-error")  # type: ignore[arg-type]
