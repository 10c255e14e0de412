"""Credentials of a token as plain values: secrets, bearers and texts that are refused."""

from uuid import UUID

import pytest

from counterfoil.core.credentials import BearerGiven, SecretGiven, client_secret, token
from counterfoil.core.refusals import CredentialsRefused

CLIENT = UUID("019ca8c1-7b40-7000-8000-3f2a9c51d7e4")


@pytest.mark.parametrize(
    ("text", "given"),
    [
        ("cfl_service_x", SecretGiven("cfl_service_x")),
        ("SG.a.b", SecretGiven("SG.a.b")),
        ("a,b:c$", SecretGiven("a,b:c$")),
        ("eyJh.b.c", BearerGiven("eyJh.b.c")),
        ("eyJh.b", SecretGiven("eyJh.b")),
    ],
)
def test_a_signed_json_object_is_a_bearer_and_any_other_visible_text_a_secret(text: str, given: object) -> None:
    assert token(text) == given


@pytest.mark.parametrize("text", ["", "a b", "é", "a\n", "\x7f"])
def test_other_characters_are_refused_without_being_repeated(text: str) -> None:
    for read in (token, lambda text: client_secret(str(CLIENT), text)):
        with pytest.raises(CredentialsRefused) as refused:
            read(text)
        assert refused.value.detail == CredentialsRefused.__doc__


def test_a_client_secret_names_its_token() -> None:
    assert client_secret(str(CLIENT).upper(), "cfl_service_x") == SecretGiven("cfl_service_x", CLIENT)
    with pytest.raises(CredentialsRefused):
        client_secret("backup", "cfl_service_x")


def test_a_form_encoded_secret_is_looked_up_as_decoded_and_then_as_sent() -> None:
    assert SecretGiven("a", CLIENT).readings == (SecretGiven("a", CLIENT),)
    assert SecretGiven("a+b", CLIENT, "a%2Bb").readings == (SecretGiven("a+b", CLIENT), SecretGiven("a%2Bb", CLIENT))


def test_credentials_do_not_print_themselves() -> None:
    assert "cfl_x" not in repr([SecretGiven("cfl_x"), BearerGiven("eyJa.b.cfl_x")])
