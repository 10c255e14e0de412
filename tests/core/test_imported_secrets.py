"""Imported secrets: which are accepted, how they are stored, and which texts could be one."""

import base64
import hashlib
import hmac
import random
import string
from typing import Any

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from core.histories import CREATED, JTI, NOON, command_of, given
from counterfoil.core.events import Private
from counterfoil.core.imported_secrets import ImportedSecret, by_digest, by_value, could_be_imported
from counterfoil.core.principal import Owner
from counterfoil.core.refusals import BadSecret, WeakSecret
from counterfoil.core.secret import OWN, Peppers, mint
from counterfoil.core.subjects.token.commands import Create, Revoke
from counterfoil.core.subjects.token.decide import decide
from counterfoil.core.subjects.token.events import Created, Revoked

PEPPERS = Peppers({1: b"p" * 32, 2: b"q" * 32})
PLAIN = "ghp_16C7e42F292c6912E7710c838347Ae178B4a"
VISIBLE = "".join(map(chr, range(0x21, 0x7F)))


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_an_import_by_value_and_by_digest_gives_the_same_digest(algorithm: Any) -> None:
    digest = hashlib.new(algorithm, PLAIN.encode())
    presented = PEPPERS.digests(ImportedSecret(PLAIN, (algorithm,)))
    for text in (
        digest.hexdigest(),
        digest.hexdigest().upper(),
        base64.b64encode(digest.digest()).decode(),
        base64.urlsafe_b64encode(digest.digest()).decode().rstrip("="),
    ):
        known = by_digest(algorithm, text)
        assert PEPPERS.digests(known) == presented
        assert (PEPPERS.minted(known).scheme, PEPPERS.minted(known).hint) == (algorithm, "imported")
    assert set(presented) <= set(PEPPERS.digests(by_value(PLAIN)))


def test_the_stored_value_is_an_hmac_of_the_digest_under_the_newest_pepper() -> None:
    kept = PEPPERS.minted(by_value(PLAIN))
    plain_digest = hashlib.sha256(PLAIN.encode()).digest()
    assert kept.digest == hmac.digest(b"q" * 32, b"sha256:" + plain_digest, "sha256")
    assert (kept.pepper_id, kept.scheme, kept.hint) == (2, "sha256", "ghp_")
    assert PEPPERS.minted(mint("user")).scheme == OWN


def test_the_event_of_an_imported_secret_has_its_digests_and_that_of_ours_has_none() -> None:
    fields: dict[str, Any] = {"number": 1, "owner": Owner("service", "old"), "name": "moved"}
    for secret, imported in ((PEPPERS.minted(by_value(PLAIN)), "sha256"), (PEPPERS.minted(mint("user")), None)):
        (event,) = decide(None, command_of(Create, secret=secret, **fields), NOON)
        assert isinstance(event, Created)
        assert (event.imported, event.hint) == (imported, secret.hint)


def test_a_revocation_by_a_bulk_revocation_names_it() -> None:
    (event,) = given(CREATED).when(command_of(Revoke, reason="leaked", bulk_revocation=JTI))
    assert event == Revoked(bulk_revocation=JTI, private=Private(reason="leaked"))


def test_a_short_secret_has_no_hint() -> None:
    assert by_value("aB3$xY9!kL2#mN5&").hint == "imported"
    assert by_value("aB3$xY9!kL2#mN5&pQ7*rS1(").hint == "aB3$"


def test_secrets_and_digests_do_not_print_themselves() -> None:
    assert PLAIN[:8] not in repr(by_value(PLAIN))
    assert hashlib.sha256(PLAIN.encode()).hexdigest()[:8] not in repr(
        by_digest("sha256", hashlib.sha256(PLAIN.encode()).hexdigest())
    )


@pytest.mark.parametrize(
    "text",
    [
        "", "short", "a" * 40, "abcdefghijklmnopqrstuvwxyz", "9876543210987654", "correctcorrectcorrect",
        "1234567890123456", "deadbeefdeadbeef", "passwordpassword", "aaaaaaaabbbbbbbb", "0000000000000001",
    ],
)  # fmt: skip
def test_a_guessable_secret_is_refused(text: str) -> None:
    with pytest.raises(WeakSecret) as refused:
        by_value(text)
    assert text == "" or text not in str(refused.value)


@pytest.mark.parametrize("alphabet", [string.hexdigits[:16], string.ascii_letters + string.digits, VISIBLE])
def test_random_secrets_are_imported(alphabet: str) -> None:
    dice = random.Random(7)  # one in a million of 20 digits looks guessable
    for length in (20, 32, 64):
        for _ in range(300):
            text = "".join(dice.choice(alphabet) for _ in range(length))
            assert by_value(text).plain == text


@pytest.mark.parametrize(
    "text",
    [
        f"cfl_service_{'0' * 43}2fFPSb", f"cfl_user_{'aB3' * 16}!", f"{'x7Kq' * 300}", "with a space in it 8fJ2",
        "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl", "Ünïcödé-sécrèt-9X2k", "tab\tin-it-9X2kQ7pL",
    ],
)  # fmt: skip
def test_our_own_secrets_jwts_and_unprintable_texts_are_refused(text: str) -> None:
    assert not could_be_imported(text)
    with pytest.raises(BadSecret) as refused:
        by_value(text)
    assert text not in str(refused.value)


def test_a_text_with_two_dots_is_accepted_if_it_is_not_a_jwt() -> None:
    assert could_be_imported("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")


@pytest.mark.parametrize(
    ("algorithm", "text"),
    [
        ("sha256", ""), ("sha256", "00"), ("sha256", "0" * 63), ("sha256", "0" * 65), ("sha256", "g" * 64),
        ("sha256", "0" * 128), ("sha512", "0" * 64), ("sha256", base64.b64encode(b"x" * 31).decode()),
        ("sha512", base64.b64encode(b"x" * 63).decode()), ("sha256", "ä" * 64), ("sha256", "=" * 44),
    ],
)  # fmt: skip
def test_an_invalid_digest_is_refused(algorithm: Any, text: str) -> None:
    with pytest.raises(BadSecret):
        by_digest(algorithm, text)


@drawn(st.text(max_size=2_000))
def test_any_other_text_is_refused_without_being_repeated(text: str) -> None:
    if could_be_imported(text):
        return  # see above
    with pytest.raises((BadSecret, WeakSecret)) as refused:
        by_value(text)
    assert len(text) < 5 or text not in str(refused.value)
