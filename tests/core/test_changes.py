"""The changes of an event: each field before and after, for every kind of subject."""

from core.test_account import fact as account_fact
from core.user_fixtures import ADA, BOB, born, fact
from counterfoil.core.events import Private
from counterfoil.core.subjects.account import AccountCreated, AccountRenamed, Policy, PolicyChanged, SecretsEnded
from counterfoil.core.subjects.changes import changes_of
from counterfoil.core.subjects.user_events import PasswordChanged, UserUpdated

OPENED = AccountCreated(private=Private(name="Acme"))


def test_a_policy_is_compared_rule_by_rule() -> None:
    events = [
        OPENED, PolicyChanged(policy=Policy(max_lifetime="90d")),
        PolicyChanged(policy=Policy(max_lifetime="30d", networks=("192.0.2.0/24",))),
        AccountRenamed(private=Private(name="Acme & Daughters")), SecretsEnded(),
    ]  # fmt: skip
    facts = [account_fact(event, n) for n, event in enumerate(events, start=1)]
    assert [(version, changes) for _, version, changes in changes_of(facts)] == [
        (1, {}),
        (2, {"policy.max_lifetime": (None, "90d")}),
        (3, {"policy.max_lifetime": ("90d", "30d"), "policy.networks": ((), ("192.0.2.0/24",))}),
        (4, {"name": ("Acme", "Acme & Daughters")}),
        (5, {"epoch": (0, 1), "valid_after": (None, facts[-1].at.isoformat().replace("+00:00", "Z"))}),
    ]


def test_each_subject_starts_from_no_fields() -> None:
    facts = [
        fact(born("member"), 1, of=ADA), fact(UserUpdated(role="auditor"), 2, of=ADA), fact(born("member"), 1, of=BOB),
        fact(PasswordChanged(), 2, of=BOB),
    ]  # fmt: skip
    assert list(changes_of(facts)) == [
        (ADA, 1, {}), (ADA, 2, {"role": ("member", "auditor")}), (BOB, 1, {}), (BOB, 2, {"generation": (1, 2)}),
    ]  # fmt: skip
