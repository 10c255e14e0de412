"""The Authorization header: which values are accepted, and that all others are refused."""

import base64
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from counterfoil.core.credentials import BearerGiven, SecretGiven
from counterfoil.core.refusals import CredentialsRefused
from counterfoil_api.auth.credentials import PasswordGiven, credentials, credentials_of
from counterfoil_api.http.errors import CredentialsMissing, CredentialsRepeated, UnknownScheme

CLIENT = UUID("019ca8c1-7b40-7000-8000-3f2a9c51d7e4")


def basic(pair: str) -> str:
    return "Basic " + base64.b64encode(pair.encode()).decode()


@pytest.mark.parametrize(
    ("header", "given_"),
    [
        ("Bearer cfl_service_x", SecretGiven("cfl_service_x")),
        ("bearer   cfl_service_x", SecretGiven("cfl_service_x")),
        ("Bearer eyJh.b.c", BearerGiven("eyJh.b.c")),
        ("Bearer SG.a.b", SecretGiven("SG.a.b")),
        ("Bearer a,b:c$", SecretGiven("a,b:c$")),
        (basic("a@example.org:pass:word"), PasswordGiven("a@example.org", "pass:word")),
        (basic("é@example.org:pässword"), PasswordGiven("é@example.org", "pässword")),
        (basic(":cfl_service_x"), SecretGiven("cfl_service_x")),
        (basic(":eyJh.b.c"), BearerGiven("eyJh.b.c")),
        (basic(f"{CLIENT}:cfl_service_x"), SecretGiven("cfl_service_x", CLIENT)),
        (basic(f"{CLIENT}/a@example.org:pass"), PasswordGiven("a@example.org", "pass", CLIENT)),
        (basic(f"{CLIENT}/a/b@example.org:pass"), PasswordGiven("a/b@example.org", "pass", CLIENT)),
        (basic("a/b@example.org:pass"), PasswordGiven("a/b@example.org", "pass")),
    ],
)
def test_valid_credentials_are_read(header: str, given_: object) -> None:
    assert credentials(header) == given_


@pytest.mark.parametrize(
    "header",
    [
        "Bearer", "Bearer ", "Bearer a b", "Bearer é", "Bearer " + "a" * 9_000,
        "Basic", "Basic !!!", "Basic YQ", basic("nocolon"), basic("a:b\x00c"), basic("a:b\nc"), basic(":"),
        "Basic " + base64.b64encode(b"\xff:\xff").decode(), basic(":a b"), basic(f"{CLIENT}:a b"),
    ],
)  # fmt: skip
def test_invalid_credentials_are_refused(header: str) -> None:
    with pytest.raises(CredentialsRefused):
        credentials(header)


@pytest.mark.parametrize("header", ["", "Digest a", "cfl_service_x", "Token x", "Bearer\tx"])
def test_an_unknown_scheme_is_refused(header: str) -> None:
    with pytest.raises(UnknownScheme):
        credentials(header)


@given(st.text(max_size=80), st.sampled_from(["", "Bearer ", "Basic ", "basic "]))
def test_any_header_is_read_or_refused_without_being_repeated(text: str, scheme: str) -> None:
    complaint = ""
    try:
        credentials(scheme + text)
    except (CredentialsRefused, UnknownScheme) as refused:
        complaint = refused.detail
    assert len(text) < 4 or text not in complaint


def test_exactly_one_header_is_accepted() -> None:
    with pytest.raises(CredentialsMissing):
        credentials_of(CIMultiDictProxy(CIMultiDict()))
    twice = CIMultiDict([("Authorization", "Bearer a"), ("authorization", "Bearer a")])
    with pytest.raises(CredentialsRepeated):
        credentials_of(CIMultiDictProxy(twice))


def test_credentials_never_print_themselves() -> None:
    shown = repr([credentials("Bearer cfl_x"), credentials("Bearer eyJa.b.cfl_x"), credentials(basic("u:cfl_x"))])
    assert "cfl_x" not in shown
