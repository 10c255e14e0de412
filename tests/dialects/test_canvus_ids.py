"""Canvus' ids look like bcrypt hashes in base64 and are accepted in one form and one account only."""

import base64
import re
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from counterfoil.core.opaque_ids import OpaqueIds
from counterfoil_api.dialects.canvus.ids import id_of, token_of

OPAQUE = OpaqueIds(b"k" * 32)
BCRYPT = re.compile(r"\$2a\$04\$[./A-Za-z0-9]{22}[./A-Za-z0-9]{31}")
uuids = st.uuids()


@given(account=uuids, token=uuids)
def test_an_id_looks_like_the_vendors_and_returns_ours(account: UUID, token: UUID) -> None:
    made = id_of(OPAQUE, account, token)
    assert re.fullmatch("[A-Za-z0-9]{80}", made)
    assert BCRYPT.fullmatch(base64.b64decode(made).decode())
    assert token_of(OPAQUE, account, made) == token
    assert made == id_of(OPAQUE, account, token)


@given(account=uuids, token=uuids, at=st.integers(0, 79), other=st.sampled_from("ABCDabcd0123"))
def test_an_id_with_any_changed_character_is_refused(account: UUID, token: UUID, at: int, other: str) -> None:
    made = id_of(OPAQUE, account, token)
    if made[at] != other:
        assert token_of(OPAQUE, account, made[:at] + other + made[at + 1 :]) is None


@given(text=st.one_of(st.text(), st.from_regex(r"[A-Za-z0-9]{80}", fullmatch=True)))
def test_an_id_that_we_never_made_is_refused(text: str) -> None:
    assert token_of(OPAQUE, uuid4(), text) is None


def test_an_id_is_refused_in_another_account_and_under_another_key() -> None:
    account, token = uuid4(), uuid4()
    made = id_of(OPAQUE, account, token)
    assert token_of(OPAQUE, uuid4(), made) is None
    assert token_of(OpaqueIds(b"l" * 32), account, made) is None
    assert made[:36] != id_of(OpaqueIds(b"l" * 32), account, token)[:36]
    assert made[:36] == id_of(OPAQUE, uuid4(), uuid4())[:36]
