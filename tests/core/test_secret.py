"""Secrets: 256 random bits with a checksum, stored as a digest, unable to print themselves."""

import ast
import hmac
import logging
import pathlib
import random
from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import counterfoil
from counterfoil.core.secret import (
    HEX,
    OWN,
    PREFIXES,
    URL_SAFE,
    Peppers,
    Secret,
    SecretShape,
    base62,
    checksum,
    mint,
    recognised,
    stands_in,
)

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
BODY = 43
IMPROBABLE = 153.0
"""Chi-square of 61 degrees of freedom exceeds this once in 10^9."""
KNOWN = Secret("cfl_app_" + "0" * BODY + checksum("cfl_app_" + "0" * BODY))
BEARER = f"eyJhbGciOiJFUzI1NiIsImtpZCI6{'k' * 60}LCJ0eXAiOiJhdCtqd3QifQ.{'p' * 300}.{'s' * 86}"
PIECES = st.sampled_from([
    *("cfl_", "cfl_user_", "cfl_app_", "_", ".", "-", " ", "A" * 46, "0" * 49, "eyJ", "\n"),
    *(KNOWN.plain[:-1], KNOWN.plain[1:], BEARER[:28], BEARER[:110], BEARER[:200], BEARER[:-1]),
])  # fmt: skip
AROUND = st.lists(PIECES | st.text()).map("".join)
"""What may stand around a secret: anything, and most of all its own beginnings and ends."""


def test_the_checksum_is_that_of_npm_and_github() -> None:
    assert checksum("qkJaB6MffYVzZXWqmcoF49yrUxP3wf") == "0LsakP"


@pytest.mark.parametrize(("number", "width", "text"), [
    (0, 6, "000000"), (0, 0, ""), (61, 1, "z"), (62, 1, "10"), (62, 4, "0010"), (3843, 2, "zz"), (3844, 2, "100"),
    (2**32 - 1, 6, "4gfFC3"), (2**256 - 1, 43, "yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp1"),
])  # fmt: skip
def test_base_62_is_padded_and_never_truncated(number: int, width: int, text: str) -> None:
    assert base62(number, width) == text
    assert sum(ALPHABET.index(c) * 62**power for power, c in enumerate(reversed(text))) == number


@pytest.mark.parametrize(("owner", "prefix"), PREFIXES.items())
def test_a_secret_is_typed_recognised_and_shows_a_hint(owner: str, prefix: str) -> None:
    secret = mint(owner)
    found = recognised(secret.plain)
    assert found is not None
    assert found.plain == secret.plain
    assert secret.plain.startswith(prefix)
    assert len(secret.plain) == len(prefix) + BODY + 6 <= 255
    assert secret.hint == secret.plain[: len(prefix) + 4]
    assert secret.plain.replace("_", "").isalnum()


def test_a_swapped_prefix_fails_the_checksum() -> None:
    for prefix in PREFIXES.values():
        swapped = prefix + KNOWN.plain.removeprefix("cfl_app_")
        assert (recognised(swapped) is None) == (prefix != "cfl_app_")


def test_a_mistyped_character_fails_the_checksum() -> None:
    plain = mint("service").plain
    slips = [plain[:i] + ("x" if plain[i] != "x" else "y") + plain[i + 1 :] for i in range(len(plain))]
    swaps = [plain[:i] + plain[i + 1] + plain[i] + plain[i + 2 :] for i in range(len(plain) - 1)]
    cuts = [plain[:-1], plain[1:], plain + "0", plain + "\n", " " + plain, plain.upper(), ""]
    assert [text for text in slips + swaps + cuts if text != plain and recognised(text)] == []


@pytest.mark.parametrize("text", ["cfl_root_" + "0" * 49, "ghp_" + "0" * 36, "cfl_app_" + "\u0660" * 49, "Bearer x"])
def test_secrets_of_other_vendors_are_not_ours(text: str) -> None:
    assert recognised(text) is None


@pytest.mark.parametrize("context", ["{}", "see {}.", "x{}x", "cfl_{}", "{}{}", "cfl_user_" + "0" * 49 + " {}"])
def test_a_secret_is_found_anywhere_in_a_text(context: str) -> None:
    assert stands_in(context.format(KNOWN.plain, KNOWN.plain))


@given(AROUND, AROUND, st.sampled_from([KNOWN.plain, BEARER]))
@example("cfl_user_" + "A" * 46, "", KNOWN.plain)
@example(BEARER[:110] + ".", "", BEARER)
def test_surrounding_text_does_not_hide_a_secret_or_a_bearer(before: str, after: str, secret: str) -> None:
    assert stands_in(before + secret + after)


@pytest.mark.parametrize("piece", ["cfl_user_", "cfl_app_" + "0" * 49, "eyJ", BEARER[:111] + ".", BEARER[:-1] + "."])
def test_a_text_is_searched_in_linear_time(piece: str) -> None:
    assert not stands_in(piece * (1 + 1_000_000 // len(piece)))  # a search that backtracks would take hours


@pytest.mark.parametrize(
    "text", ["", "cfl_", BEARER[:-1], BEARER[1:], KNOWN.hint, KNOWN.plain[:-1], KNOWN.plain[1:], "cfl_app_" + "0" * 49]
)
def test_a_text_that_only_resembles_a_secret_is_allowed(text: str) -> None:
    assert not stands_in(text)


def chi_square(texts: list[str], position: int) -> float:
    """The distance of the characters at a position from 256 uniform bits in base 62."""
    weight, total, found = 62 ** (BODY - 1 - position), 2**256, Counter(text[position] for text in texts)
    cycles, rest = divmod(total, 62 * weight)
    score = 0.0
    for digit, character in enumerate(ALPHABET):
        chance = (cycles * weight + min(max(rest - digit * weight, 0), weight)) / total
        expected = chance * len(texts)
        score += (found[character] - expected) ** 2 / expected if expected else float(found[character]) * IMPROBABLE
    return score


def test_a_hundred_thousand_secrets_are_random_at_every_position() -> None:
    start = len(PREFIXES["user"])
    bodies = [mint("user").plain[start:-6] for _ in range(100_000)]
    assert len(set(bodies)) == len(bodies)
    assert [position for position in range(BODY) if chi_square(bodies, position) > IMPROBABLE] == []


def test_the_statistic_detects_a_bias() -> None:
    dice = random.Random(7)  # seeded: the statistic is tested here, not the generator
    modulo = ["".join(ALPHABET[byte % 62] for byte in dice.randbytes(BODY)) for _ in range(50_000)]
    assert min(chi_square(modulo, position) for position in range(BODY)) > IMPROBABLE


def test_no_secret_depends_on_a_guessable_generator() -> None:
    sources = {path: ast.parse(path.read_text()) for path in pathlib.Path(counterfoil.__path__[0]).rglob("*.py")}
    names = {
        path.stem: {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
        | {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
        | {alias.name for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom) for alias in n.names}
        for path, tree in sources.items()
    }
    on_the_way = {stem for stem, used in names.items() if used & {"mint", "minted", "Minted"}}
    assert "secret" in on_the_way
    assert {stem for stem in on_the_way if names[stem] & {"random", "uuid1", "uuid4", "getrandbits", "choice"}} == set()


PEPPERS = Peppers({1: b"\x01" * 32, 2: b"\x02" * 32})


def digest(pepper: int) -> bytes:
    return hmac.digest(bytes([pepper]) * 32, KNOWN.plain.encode(), "sha256")


def test_the_newest_pepper_signs_and_every_pepper_verifies() -> None:
    kept = PEPPERS.minted(KNOWN)
    assert (kept.digest, kept.pepper_id, kept.hint) == (digest(2), 2, "cfl_app_0000")
    assert PEPPERS.digests(KNOWN) == (digest(2), digest(1))


def test_a_retired_pepper_verifies_nothing() -> None:
    kept_last_year = Peppers({1: b"\x01" * 32}).minted(KNOWN)
    assert kept_last_year.digest in PEPPERS.digests(KNOWN)
    assert kept_last_year.digest not in Peppers({2: b"\x02" * 32}).digests(KNOWN)


def test_a_digest_needs_the_pepper() -> None:
    assert hmac.digest(b"", KNOWN.plain.encode(), "sha256") not in PEPPERS.digests(KNOWN)
    assert Peppers({2: b"\x03" * 32}).minted(KNOWN).digest not in PEPPERS.digests(KNOWN)


def test_an_hmac_separates_its_parts_and_survives_a_new_pepper() -> None:
    assert PEPPERS.hmac(b"a", b"bc") != PEPPERS.hmac(b"ab", b"c")
    assert PEPPERS.hmac(b"") != PEPPERS.hmac()
    assert Peppers({1: b"\x01" * 32}).hmac(b"a") == PEPPERS.hmac(b"a")


def test_secrets_and_peppers_cannot_print_themselves(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("test").warning("%s %r %s %r", KNOWN, KNOWN, PEPPERS, [PEPPERS])
    for shown in (caplog.text, f"{KNOWN}{KNOWN!r}{PEPPERS}", str({"secret": KNOWN})):
        assert KNOWN.plain[12:] not in shown
        assert "\\x01" not in shown
    assert repr(KNOWN) == "Secret(…)"
    assert repr(PEPPERS) == "Peppers(ids=[1, 2])"


def test_secrets_are_not_compared_by_their_text() -> None:
    assert Secret(KNOWN.plain) != KNOWN


@given(st.text(alphabet="abc-_", max_size=8), st.sampled_from([HEX, URL_SAFE]), st.integers(32, 64))
def test_a_format_recognises_what_it_mints_and_a_hint_shows_four_characters(
    prefix: str, alphabet: str, length: int
) -> None:
    shape = SecretShape(prefix, alphabet, length)
    plain = shape.mint().plain
    found = shape.recognised(plain)
    assert found is not None
    assert (found.hint, found.scheme) == (plain[: len(prefix) + 4], OWN)
    assert len({shape.mint().plain for _ in range(20)}) == 20
    wrong = [plain[:-1], plain + "0", plain[:-1] + "!", "x" + plain, "A" * len(plain) if alphabet == HEX else ""]
    assert [text for text in wrong if shape.recognised(text)] == []
    if prefix:
        assert shape.recognised("z" + plain[1:]) is None


@pytest.mark.parametrize("alphabet", [HEX, URL_SAFE])
def test_every_character_of_a_format_is_equally_likely(alphabet: str) -> None:
    found = Counter("".join(SecretShape("", alphabet, 64).mint().plain for _ in range(2_000)))
    expected = 128_000 / len(alphabet)
    assert sum((found[each] - expected) ** 2 / expected for each in alphabet) < IMPROBABLE
    with pytest.raises(ValueError, match="as likely"):
        SecretShape("", ALPHABET, 43)
