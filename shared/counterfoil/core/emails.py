"""E-mail addresses: which ones are valid, and the canonical form by which an address is looked up.

An address is shown as it was given. The canonical form ignores case, composition (NFC, NFD) and the form of the domain
(`bücher.example` or `xn--bcher-kva.example`).
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import Final

import idna
from idna.core import valid_contextj

from counterfoil.core import text
from counterfoil.core.refusals import BadEmail

EMAIL_PATTERN: Final = r"(?![0-9A-Fa-f-]{36}/)[^@\s:]+@[^@\s:]+"
"""An address that RFC 7617 allows as a user name, and that cannot be taken for ACCOUNT/ADDRESS."""
_EMAIL: Final = re.compile(EMAIL_PATTERN)
_AT: Final = re.compile("[@\ufe6b\uff20]")
"""The sign itself, and the characters that compatibility mappings turn into it."""
_INVISIBLE: Final = re.compile(f"[{text.IGNORABLE}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_JOINERS: Final = "\u200c\u200d"
"""A domain may contain them only between letters that need them (RFC 5892 Appendix A)."""
_UNASSIGNED: Final = ("Cn", "Co", "Cs")
_LONGEST: Final = 512
"""Characters; longer texts are not mapped: no address is so long, and mapping an attacker's long text is slow."""
_ROUNDS: Final = 3
"""A mapping may yield characters that are mapped too; after this many rounds nothing changes any more."""
_LABEL_BYTES: Final = 63
_ACE: Final = "xn--"


def checked_email(email: str) -> str:
    """Return the address as it is shown (composed, else as given), or raise BadEmail or BadText."""
    shown = text.checked("email", email, text.NAME_LIMIT)
    form = canonical(shown)
    if ":" in shown or ":" in form:
        raise BadEmail(
            "An e-mail address with a colon cannot log in, since the first colon of Basic credentials ends the user-id"
            " (RFC 7617); use another address, such as grace@example.org.",
            field="email",
        )
    if shown != unicodedata.normalize("NFC", email) or not _EMAIL.fullmatch(shown) or form.count("@") != 1:
        raise BadEmail(field="email")
    if unseen := _invisible(shown):
        raise BadEmail(f"An e-mail address has no invisible characters; remove U+{ord(unseen):04X}.", field="email")
    if unknown := next((each for each in shown if unicodedata.category(each) in _UNASSIGNED), ""):
        # This Unicode does not know its case and composition: a later Unicode would change the look-up key.
        raise BadEmail(
            f"U+{ord(unknown):04X} is no character of Unicode {unicodedata.unidata_version}; use another address.",
            field="email",
        )
    return shown


def canonical(email: str) -> str:
    """Return the form by which an address is looked up: the same for all its spellings. Any text has one.

    The local part is folded to lower case and composed with compatibility mappings (NFKC), the domain mapped as UTS 46
    says and written in its own letters; what is invisible is left out. `ß` and `ss` stay two.
    """
    for _ in range(_ROUNDS):
        email = email if len(email) > _LONGEST else _mapped(email)
    return email


def key(email: str) -> bytes:
    """Return the index key of the canonical form: its SHA-256, since an address may be too long for an index page."""
    return hashlib.sha256(canonical(email).encode(errors="replace")).digest()


def _mapped(email: str) -> str:
    email = email.strip()
    signs = list(_AT.finditer(email))
    if not signs:
        return _folded(email)
    local, domain = email[: signs[-1].start()], email[signs[-1].end() :]
    return f"{_folded(local)}@{_mapped_domain(domain)}"


def _folded(part: str) -> str:
    composed = unicodedata.normalize("NFKC", _INVISIBLE.sub("", part))
    return unicodedata.normalize("NFKC", "".join(map(_lower, composed)))


def _lower(character: str) -> str:
    """Return the simple case folding, which keeps one character one character: ẞ becomes ß, not ss."""
    folded = character.casefold()
    return folded if len(folded) == 1 else character.lower()


def _mapped_domain(domain: str) -> str:
    plain = "".join(each for each in domain if each in _JOINERS or not _INVISIBLE.match(each))
    try:
        mapped = idna.uts46_remap(plain, std3_rules=False)
    except idna.IDNAError:  # no such domain can exist
        return _folded(domain)
    return ".".join(_label(_joined(label)) for label in mapped.rstrip(".").split("."))


def _label(label: str) -> str:
    """Decode an A-label (xn--…) to Unicode; return any other label unchanged."""
    if not label.startswith(_ACE) or len(label) > _LABEL_BYTES:
        return label
    try:
        letters = label.removeprefix(_ACE).encode("ascii").decode("punycode")
        stable = not letters.isascii() and _mapped_domain(letters) == letters
    except UnicodeError:  # idna.IDNAError is one too
        return label
    return letters if stable and _ACE + letters.encode("punycode").decode("ascii") == label else label


def _joined(label: str) -> str:
    """Remove the joiners that the label's letters do not need."""
    if label.isascii():
        return label
    return "".join(each for at, each in enumerate(label) if each not in _JOINERS or _is_needed(label, at))


def _is_needed(label: str, at: int) -> bool:
    try:
        return valid_contextj(label, at)
    except ValueError:  # this Unicode does not know the character
        return False


def _invisible(email: str) -> str:
    """Return the first invisible character that an address must not contain, or an empty text."""
    local, _, domain = email.rpartition("@")
    if found := _INVISIBLE.search(local):
        return found[0]
    return next(
        (
            each
            for label in domain.split(".")
            for at, each in enumerate(label)
            if _INVISIBLE.match(each) and not _is_needed(label, at)
        ),
        "",
    )
