"""E-mail addresses: one canonical form for all spellings, and which texts are valid."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from counterfoil.core.emails import canonical, checked_email, key
from counterfoil.core.refusals import BadEmail, BadText

SPELLINGS = [
    ["jos\u00e9@example.org", "jose\u0301@example.org", "JOS\u00c9@EXAMPLE.ORG", " jos\u00e9@example.org. "],
    ["a@example.org", "a@exam\u200bple.org", "a@exam\u00adple.org", "a@exam\u2060ple\u3002org", "\u200ea@example.org",
     "a\u200b@example.org", "\uff41\uff20example.org", "a@exam\u200cple.org", "a@EXAMPLE\uff0eorg",
     "a@exam\u2800ple.org"],
    ["a@b\u00fccher.example", "a@bu\u0308cher.example", "a@B\u00dcCHER.example", "a@xn--bcher-kva.example",
     "A@XN--BCHER-KVA.EXAMPLE", "a@xn--bcher-kva\uff0eexample"],
    ["stra\u00dfe@example.org", "STRA\u1e9eE@example.org"],
    ["\u03bf\u03b4\u03bf\u03c2@example.org", "\u039f\u0394\u039f\u03a3@example.org"],
    ["a@i\u2764.ws", "a@xn--i-7iq.ws", "a@i\u2764\ufe0f.ws"],
    ["a@\u0646\u0627\u0645\u0647\u200c\u0627\u06cc.com", "a@xn--mgba3gch31f060k.com"],
    ["\ufb01ona@\ufb01.example", "fiona@fi.example"],
]  # fmt: skip
DIFFERENT = [
    ("stra\u00dfe@example.org", "strasse@example.org"), ("a@fa\u00df.de", "a@fass.de"), ("ada@x.org", "adam@x.org"),
    ("jos\u00e9@x.org", "jose@x.org"), ("a.b@x.org", "ab@x.org"), ("a+b@x.org", "a@x.org"),
    ("a@\u0646\u0627\u0645\u0647\u200c\u0627\u06cc.com", "a@\u0646\u0627\u0645\u0647\u0627\u06cc.com"),
]  # fmt: skip
ANY = st.text(st.characters(exclude_categories=[]))
PARTS = ANY | st.text(
    st.sampled_from("a\u00fc\u0308\u200b\u200c\u200dXxn-.@\uff20\u3002\u00df\u03a3:\u0130\u2488\u0627\u06cc")
)


@pytest.mark.parametrize("spellings", SPELLINGS)
def test_all_spellings_of_an_address_have_one_form(spellings: list[str]) -> None:
    assert len(set(map(canonical, spellings))) == 1
    assert len(set(map(key, spellings))) == 1
    assert canonical(spellings[0]) in {canonical(each) for each in spellings}


@pytest.mark.parametrize("pair", DIFFERENT)
def test_two_addresses_have_two_forms(pair: tuple[str, str]) -> None:
    assert canonical(pair[0]) != canonical(pair[1])
    assert key(pair[0]) != key(pair[1])


@given(PARTS, PARTS)
@example("", "xn--xn--a-ecp.ru")
@example("", "xn--a.xn--.xn--\u00fc.xn---")
@example("\uff20", "\uff20xn--bcher-kva")
def test_the_canonical_form_is_stable(local: str, domain: str) -> None:
    for whole in (local, f"{local}@{domain}", f"{local}@xn--{domain}"):
        assert canonical(canonical(whole)) == canonical(whole)
        assert len(key(whole)) == 32


@given(st.emails() | st.builds(lambda local, domain: f"{local}@{domain}.example", PARTS, PARTS))
def test_every_spelling_of_an_address_keeps_its_form(email: str) -> None:
    try:
        shown = checked_email(email)
    except (BadEmail, BadText):
        return
    local, _, domain = shown.rpartition("@")
    for spelt in (f" {shown}", f"{shown}.", shown.swapcase() if shown.isascii() else shown):
        assert canonical(spelt) == canonical(shown)
    for spelt in (unicodedata.normalize("NFD", shown), f"{local}\u200b@\u200b{domain}", f"{local}\uff20{domain}"):
        assert canonical(spelt) == canonical(shown)


def test_the_mapping_of_characters_is_stable() -> None:
    for code in (*range(0x3400), *range(0xA640, 0xAC00), *range(0xF900, 0x10000), *range(0x10400, 0x10600),
                 *range(0x1D400, 0x1D800), *range(0x1E900, 0x1F300), *range(0x2F800, 0x2FA20)):  # fmt: skip
        whole = f"a{chr(code)}@b{chr(code)}c"
        assert canonical(form := canonical(whole)) == form, ascii(whole)


def test_an_overlong_address_is_refused_before_it_is_composed() -> None:
    long = "A\u0308" * 257
    assert canonical(long) == long


def test_an_address_is_shown_as_it_was_given_and_composed() -> None:
    for given_so in ("Ada@Example.ORG", "a@xn--bcher-kva.example", "a@B\u00dccher.example", "o\u00b4brien@x.org"):
        assert checked_email(given_so) == given_so
    assert checked_email("jose\u0301@example.org") == "jos\u00e9@example.org"
    joined = "a@\u0646\u0627\u0645\u0647\u200c\u0627\u06cc.com"
    assert checked_email(joined) == joined


@pytest.mark.parametrize("email", ["a:b@example.org", "a@b:c", "a\uff1ab@example.org", "a:b:c@example.org"])
def test_an_address_with_a_colon_is_refused_since_it_could_not_log_in(email: str) -> None:
    with pytest.raises(BadEmail, match="colon") as refused:
        checked_email(email)
    assert refused.value.facts == {"field": "email"}


@pytest.mark.parametrize(
    ("email", "found"),
    [
        ("a@exam\u200bple.org", "200B"), ("a\u200b@example.org", "200B"), ("a@exam\u200cple.org", "200C"),
        ("a\u200db@example.org", "200D"), ("a@exam\u00adple.org", "00AD"), ("\u2764\ufe0f@example.org", "FE0F"),
        ("a@exam\u2800ple.org", "2800"), ("a@\u0378\u200d.org", "200D"),
    ],
)  # fmt: skip
def test_an_invisible_character_in_an_address_is_refused_and_named(email: str, found: str) -> None:
    with pytest.raises(BadEmail, match=f"U\\+{found}"):
        checked_email(email)


@pytest.mark.parametrize("email", ["a\U0001fae8\U000efffd@x.org", "a@\ue000.org", "\u0378@x.org"])
def test_an_unassigned_character_in_an_address_is_refused(email: str) -> None:
    with pytest.raises(BadEmail, match="no character of Unicode"):
        checked_email(email)


@pytest.mark.parametrize(
    "email", ["", "a", "a@", "@b", "a@b@c", "a b@c", " a@b", "a@b\u3000", "a\uff20b@c", "a@b\uff20c"]
)
def test_an_invalid_address_is_refused(email: str) -> None:
    with pytest.raises(BadEmail):
        checked_email(email)


@pytest.mark.parametrize("email", ["a\x00@b", "a\u202e@b", "a@b\n", f"{'a' * 255}@b"])
def test_invalid_text_is_refused_as_an_address(email: str) -> None:
    with pytest.raises(BadText):
        checked_email(email)
