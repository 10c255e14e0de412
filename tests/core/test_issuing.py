"""A wish becomes one command with exactly its fields."""

from dataclasses import fields
from datetime import UTC, datetime
from uuid import UUID

import pytest

from counterfoil.core.imported_secrets import by_value
from counterfoil.core.principal import NIL, Actor, Owner, Principal
from counterfoil.core.secret import HEX, Peppers, SecretShape
from counterfoil.core.trust import Trust
from counterfoil.uses.issue import Wish, creation, fresh_secret, issue

ASKER = Principal(actor=Actor("system", NIL), account=UUID(int=7), scopes=("*",))
PEPPERS = Peppers({1: b"p" * 32})
OWNER = Owner("application", "billing")
SHAPE = SecretShape("acme_", HEX, 64)


def test_a_command_has_every_field_of_the_wish() -> None:
    wish = Wish(
        name="nightly", owner=OWNER, description="exports", scopes=("invoices.read",), metadata={"team": "a"},
        networks=("192.0.2.0/24",), rate_limit="60/1m", lifetime="90d", expires_at=datetime(2030, 1, 1, tzinfo=UTC),
        may_have_expired=True, cloned_from=UUID(int=3), dialect="acme", shape=SHAPE,
    )  # fmt: skip
    command, secret = issue(wish, ASKER, PEPPERS, number=4, thresholds=(7,), undescribed=("x",))
    for name in {each.name for each in fields(Wish)} - {"shape"}:
        assert getattr(command, name) == getattr(wish, name), name
    assert (command.account, command.by) == (ASKER.account, ASKER)
    assert secret is not None
    assert secret.plain.startswith("acme_")
    assert (command.number, command.thresholds, command.undescribed, command.imported_digests) == (4, (7,), ("x",), ())
    assert command.secret == PEPPERS.minted(secret)


def test_an_imported_secret_is_stored_by_its_digests() -> None:
    secret = by_value("an-old-secret-of-24-characters")
    digests = PEPPERS.digests(secret)
    command = creation(
        Wish(name="moved", owner=OWNER), ASKER, PEPPERS, token_id=UUID(int=1), secret=secret, imported_digests=digests
    )
    assert (command.imported_digests, command.secret and command.secret.digest) == (digests, digests[0])


@pytest.mark.parametrize(("shape", "prefix"), [(None, "cfl_app_"), (SHAPE, "acme_")])
def test_a_secret_has_the_format_of_the_wish(shape: SecretShape | None, prefix: str) -> None:
    first, second = (fresh_secret(OWNER, shape).plain for _ in range(2))
    assert first.startswith(prefix)
    assert second.startswith(prefix)
    assert first != second


def test_each_token_has_its_own_id_and_one_with_a_trust_has_no_secret() -> None:
    trust = Trust(issuer="https://ci.example", audience="tokens", claims={"sub": ("a",)})
    (first, none), (second, _) = (issue(Wish(name="ci", owner=OWNER, trust=trust), ASKER, PEPPERS) for _ in range(2))
    assert first.id != second.id
    assert (none, first.secret, first.trust) == (None, None, trust)
