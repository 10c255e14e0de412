"""Trusts: which JWTs a token accepts, and under which conditions."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given as anything
from hypothesis import strategies as st
from msgspec.structs import replace

from core.histories import NOON
from counterfoil.core.refusals import BadTrust, TrustRefused
from counterfoil.core.secret import mint
from counterfoil.core.trust import Assertion, Trust, checked_trust, ends_of, matched

GITHUB = "https://token.actions.githubusercontent.com"
US = "https://ledger.example"
TRUST = Trust(
    issuer=GITHUB, audience=US, claims={"repository": ("acme/app",), "ref": ("refs/heads/main", "refs/tags/*")}
)
OWN = replace(TRUST, issuer="https://id.example/realms/ci")
NOW = NOON.timestamp()
CLAIMS: dict[str, object] = {
    "iss": GITHUB, "aud": US, "sub": "repo:acme/app:ref:refs/heads/main", "exp": NOW + 300, "jti": "j-1",
    "repository": "acme/app", "ref": "refs/heads/main", "actor": "ada",
}  # fmt: skip


def claims(**changed: object) -> dict[str, object]:
    return {name: value for name, value in (CLAIMS | changed).items() if value is not None}


def conditions(**wanted: str) -> Trust:
    return replace(TRUST, claims={name.replace("__", "."): (value,) for name, value in wanted.items()})


def test_a_jwt_that_meets_every_condition_is_accepted_with_the_deciding_claims() -> None:
    assert matched(TRUST, claims(), NOON) == {
        "sub": "repo:acme/app:ref:refs/heads/main", "repository": "acme/app", "ref": "refs/heads/main",
    }  # fmt: skip
    assert matched(TRUST, claims(ref="refs/tags/v1.2"), NOON)["ref"] == "refs/tags/v1.2"


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"repository": "acme/app2"}, "repository"),
        ({"repository": "ACME/app"}, "repository"),
        ({"repository": None}, "repository"),
        ({"repository": ["acme/apps"]}, "repository"),
        ({"repository": []}, "repository"),
        ({"repository": {"acme/app": "acme/app"}}, "repository"),
        ({"ref": "refs/heads/main2"}, "ref"),
        ({"ref": "x/refs/tags/1"}, "ref"),
        ({"ref": 7}, "ref"),
        ({"ref": None, "repository": None}, "repository, ref"),
        ({"ref": "refs/tags/a\nb"}, "ref"),
        ({"ref": "refs/tags/" + "x" * 1_000}, "ref"),
    ],
)
def test_a_claim_that_does_not_match_is_named_without_its_value(changed: dict[str, object], named: str) -> None:
    with pytest.raises(TrustRefused, match=f"conditions on {named}; compare") as refused:
        matched(TRUST, claims(**changed), NOON)
    assert not [value for value in changed.values() if isinstance(value, str) and value in refused.value.detail]


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": f"{GITHUB}/"},
        {"iss": None},
        {"aud": "https://ledger.example.org"},
        {"aud": None},
        {"aud": []},
        {"aud": {US: US}},
        {"exp": NOW},
        {"exp": NOW - 1},
        {"exp": None},
        {"exp": str(NOW + 300)},
        {"exp": True},
        {"exp": NOW + 90_001},
        {"exp": 1e300},
        {"nbf": NOW + 61},
    ],
)
def test_another_issuer_audience_or_time_is_refused(changed: dict[str, object]) -> None:
    with pytest.raises(TrustRefused):
        matched(TRUST, claims(**changed), NOON)


def test_the_last_moment_and_a_clock_slightly_ahead_are_accepted() -> None:
    assert matched(TRUST, claims(nbf=NOW + 60, exp=NOW + 0.5), NOON)
    assert matched(TRUST, claims(nbf="soon", aud=["https://other.example", US]), NOON)


def test_a_list_claim_matches_if_one_of_its_values_does() -> None:
    trust = replace(OWN, claims={"groups": ("deploy-*",)})
    said = claims(iss=OWN.issuer, groups=[7, "readers", "deploy-eu", "deploy-us"])
    assert matched(trust, said, NOON)["groups"] == "deploy-eu"


@pytest.mark.parametrize(
    ("value", "spelt"), [(True, "true"), (False, "false"), (7, "7"), (-7, "-7"), (2**62, str(2**62))]
)
def test_booleans_and_numbers_match_in_their_json_spelling(value: object, spelt: str) -> None:
    trust = replace(OWN, claims={"ref_protected": (spelt,)})
    assert matched(trust, claims(iss=OWN.issuer, ref_protected=value), NOON)["ref_protected"] == spelt


@pytest.mark.parametrize("value", [1.0, 2**63, None])
def test_other_values_match_nothing(value: object) -> None:
    trust = replace(OWN, claims={"n": (str(value).lower(), "1*", "9*")})
    with pytest.raises(TrustRefused):
        matched(trust, {**claims(iss=OWN.issuer), "n": value}, NOON)


POD: dict[str, object] = {
    "kubernetes.io": {"namespace": "ci", "serviceaccount": {"name": "deployer"}, "a": {"b.c": "long"}},
    "kubernetes": {"io": {"namespace": "wrong"}},
    "x": {"y": "nested", "z": None},
    "x.y": "whole",
    "p": "flat",
}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kubernetes.io.namespace", "ci"),
        ("kubernetes.io.serviceaccount.name", "deployer"),
        ("kubernetes.io.a.b.c", "long"),
        ("x.y", "whole"),
    ],
)
def test_a_nested_claim_is_named_with_dots_and_the_longest_name_wins(name: str, value: str) -> None:
    trust = replace(OWN, claims={name: (value,)})
    assert matched(trust, claims(iss=OWN.issuer) | POD, NOON)[name] == value


@pytest.mark.parametrize("name", ["kubernetes.io.name", "x.z", "p.q", ".x.y", "kubernetes", "x.", "x..y"])
def test_a_name_without_a_claim_matches_nothing(name: str) -> None:
    with pytest.raises(TrustRefused):
        matched(replace(OWN, claims={name: ("w*", "n*", "f*", "c*")}), claims(iss=OWN.issuer) | POD, NOON)


@pytest.mark.parametrize("sub", [None, 7, "a\x00b", "x" * 1_001, " "])
def test_a_sub_that_is_not_text_is_omitted(sub: object) -> None:
    assert "sub" not in matched(TRUST, claims(sub=sub), NOON) or sub == " "


def test_a_trust_is_stored_as_stated() -> None:
    for trust in (TRUST, OWN, replace(TRUST, once=True), replace(OWN, issuer="https://[2001:db8::1]:8443/a/")):
        assert checked_trust(trust) is trust


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"issuer": "http://id.example"}, "https URL"),
        ({"issuer": "https://ada:pw@id.example"}, "https URL"),
        ({"issuer": "https://id.example/?x=1"}, "https URL"),
        ({"issuer": "https://id.example/#a"}, "https URL"),
        ({"issuer": "https://"}, "https URL"),
        ({"issuer": "https://id.example/ a"}, "https URL"),
        ({"issuer": "https://id.example/" + "a" * 255}, "https URL"),
        ({"issuer": "https://id.example\n"}, "https URL"),
        ({"audience": ""}, "1 to 255 visible"),
        ({"audience": "a b"}, "1 to 255 visible"),
        ({"audience": "a" * 256}, "1 to 255 visible"),
        ({"audience": mint("user").plain}, "secret or a bearer"),
        ({"claims": {}}, "everybody for whom this issuer signs could use the token"),
        ({"claims": {f"c{n}": ("v",) for n in range(21)}}, "1 to 20 conditions"),
        ({"claims": {"iss": (GITHUB,)}}, "none of aud, exp, iat, iss, jti, nbf"),
        ({"claims": {"exp": ("1*",)}}, "none of aud"),
        ({"claims": {"": ("a",)}}, "none of aud"),
        ({"claims": {"a b": ("a",)}}, "none of aud"),
        ({"claims": {"sub": ()}}, "1 to 20 values"),
        ({"claims": {"sub": tuple("abcdefghijklmnopqrstuvw")}}, "1 to 20 values"),
        ({"claims": {"sub": ("*",)}}, "everything fits"),
        ({"claims": {"sub": ("",)}}, "everything fits"),
        ({"claims": {"sub": ("a", "*/*:?")}}, "everything fits"),
        ({"claims": {"sub": (r"a\b",)}}, "escapes nothing"),
        ({"claims": {"sub": ("a\x00b",)}}, "U\\+0000"),
        ({"claims": {"sub": (" a",)}}, "blanks"),
        ({"claims": {"sub": ("a" * 256,)}}, "256 characters"),
    ],
)  # fmt: skip
def test_an_invalid_trust_is_refused_with_the_reason(changed: dict[str, Any], match: str) -> None:
    with pytest.raises(BadTrust, match=match):
        checked_trust(replace(OWN, **changed))


@pytest.mark.parametrize(
    "claims",
    [
        {"ref": ("refs/heads/main",)},
        {"repository": ("*/app",)},
        {"repository": ("acme*",)},
        {"repository": ("acme/app", "*app")},
        {"sub": ("repo:*",)},
        {"sub": (r"repo:a\\*",)},
        {"environment": ("acme/production",), "actor": ("ada",)},
    ],
)
@pytest.mark.parametrize("issuer", [GITHUB, f"{GITHUB}/", "https://gitlab.com"])
def test_conditions_that_any_customer_of_a_public_issuer_meets_are_refused(
    issuer: str, claims: dict[str, tuple[str, ...]]
) -> None:
    with pytest.raises(BadTrust, match="signs for everybody: state whose JWT it has to be"):
        checked_trust(replace(TRUST, issuer=issuer, claims=claims))
    assert checked_trust(replace(OWN, claims=claims))


@pytest.mark.parametrize(
    ("issuer", "claims"),
    [
        (GITHUB, {"repository": ("acme/*",), "ref": ("refs/heads/main",)}),
        (GITHUB, {"repository_owner": ("acme",)}),
        (GITHUB, {"repository_owner_id": (r"a\*",)}),
        (GITHUB, {"sub": ("repo:acme/app:environment:*",)}),
        ("https://gitlab.com", {"project_path": ("acme/app",)}),
        ("https://gitlab.com", {"sub": ("project_path:acme/*",)}),
    ],
)
def test_conditions_that_bind_to_one_owner_are_accepted(issuer: str, claims: dict[str, tuple[str, ...]]) -> None:
    assert checked_trust(replace(TRUST, issuer=issuer, claims=claims))


def test_a_jwt_is_remembered_only_by_issuer_and_jti() -> None:
    one = Assertion(issuer=GITHUB, audience=US, claims=claims())
    assert one.digest == replace(one, audience="x", claims=claims(ref="other")).digest
    assert len({one.digest, replace(one, issuer=US).digest, replace(one, claims=claims(jti="j-2")).digest}) == 3
    assert [replace(one, claims=claims(jti=jti)).digest for jti in (None, "", 7, ["j-1"])] == [None] * 4
    assert replace(one, claims=claims(jti="\ud800")).digest is not None


def test_a_jwt_without_an_expiry_has_expired() -> None:
    assert (ends_of({"exp": 7}), ends_of({"exp": 7.5}), ends_of({}), ends_of({"exp": "7"})) == (7.0, 7.5, 0.0, 0.0)


@anything(
    value=st.text(min_size=1, max_size=20), wanted=st.sampled_from(["a*", "?b*", "main", "refs/*/x", "*é*"]),
    hours=st.integers(-30, 30),
)  # fmt: skip
def test_an_accepted_jwt_is_in_time_and_meets_its_conditions(value: str, wanted: str, hours: int) -> None:
    trust, at = replace(OWN, claims={"c": (wanted,)}), NOON + timedelta(hours=hours)
    try:
        found = matched(trust, claims(iss=OWN.issuer, c=value), at)
    except TrustRefused:
        return
    assert (found["c"], hours <= 0) == (value, True)
