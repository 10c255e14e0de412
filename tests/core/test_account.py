"""An account: its policy, and the event that ends all its secrets."""

from datetime import timedelta
from ipaddress import ip_address
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import replace

from core.histories import ACCOUNT, ADMIN, BORN, CREATED, DAY, HOUR, NOON, SECOND, SECRET, TOKEN, given, rotated
from counterfoil.core.bounds import NETWORK_LIMIT
from counterfoil.core.events import Event, Fact, Private, Subject
from counterfoil.core.kinds import TYPE_OF
from counterfoil.core.refusals import (
    AlreadyExists,
    BadPolicy,
    BadText,
    BeyondPolicy,
    NotFound,
    SecretEnded,
    StaleRevision,
)
from counterfoil.core.subjects.account import (
    THRESHOLD_LIMIT,
    UNBOUND,
    Account,
    AccountCreated,
    AccountRenamed,
    ChangeAccount,
    CreateAccount,
    EndSecrets,
    Policy,
    PolicyChanged,
    SecretsEnded,
    checked,
    decide,
    evolve,
)
from counterfoil.core.subjects.subject import Command, DecisionContext
from counterfoil.core.subjects.token.acceptance import Context, refusal_for
from counterfoil.core.subjects.token.commands import Create, Update
from counterfoil.core.subjects.token.decide import decide as decide_token
from counterfoil.core.subjects.token.events import Created

NOW = DecisionContext(at=NOON)
MADE = AccountCreated(private=Private(name="Acme"))


def command_of(command: type[Command], **fields: Any) -> Command:
    return command(account=ACCOUNT, id=ACCOUNT, by=ADMIN, **fields)


def fact(event: Event, version: int) -> Fact:
    return Fact(
        account=ACCOUNT, subject=Subject("account", ACCOUNT), version=version, type=TYPE_OF[type(event)],
        at=BORN + version * SECOND, by=ADMIN.actor, event=event,
    )  # fmt: skip


def after(*events: Event) -> Account:
    account = None
    for version, event in enumerate(events, 1):
        account = evolve(account, fact(event, version))
    assert account is not None
    return account


def test_an_account_is_opened_once_and_is_named() -> None:
    parent = UUID(int=7)
    assert decide(None, command_of(CreateAccount, name="Acme", parent=parent), NOW) == [
        AccountCreated(parent=parent, private=Private(name="Acme"))
    ]
    with pytest.raises(AlreadyExists):
        decide(after(MADE), command_of(CreateAccount, name="Acme"), NOW)
    with pytest.raises(BadText):
        decide(None, command_of(CreateAccount, name=" "), NOW)


@pytest.mark.parametrize("command", [command_of(ChangeAccount, name="x"), command_of(EndSecrets, reason="x")])
def test_a_command_to_a_missing_account_is_refused(command: Command) -> None:
    with pytest.raises(NotFound):
        decide(None, command, NOW)


def test_name_and_policy_events_are_written_only_for_a_change() -> None:
    account = after(MADE)
    policy = Policy(max_lifetime="90d")
    both = decide(account, command_of(ChangeAccount, name="Other", policy=policy), NOW)
    assert both == [AccountRenamed(private=Private(name="Other")), PolicyChanged(policy=policy)]
    assert decide(account, command_of(ChangeAccount, name="Acme", policy=UNBOUND), NOW) == []
    assert decide(account, command_of(ChangeAccount, name=UNSET, policy=UNSET), NOW) == []
    changed = after(MADE, *both)
    assert (changed.name, changed.policy, changed.revision, changed.version) == ("Other", policy, 3, 3)
    assert after(MADE, AccountRenamed()).name is None  # erased


def test_a_change_may_require_a_revision() -> None:
    with pytest.raises(StaleRevision):
        decide(after(MADE), command_of(ChangeAccount, name="Other", revisions=frozenset({2})), NOW)
    assert decide(after(MADE), command_of(ChangeAccount, name="Other", revisions=frozenset({1, 2})), NOW)


@pytest.mark.parametrize(
    ("given_", "kept"),
    [
        (Policy(thresholds=(60, 3600, 60)), Policy(thresholds=(3600, 60))),
        (Policy(thresholds=()), Policy(thresholds=())),
        (Policy(networks=("192.0.2.0/24", "2001:DB8::/32", "192.0.2.0/24", "198.51.100.7")),
         Policy(networks=("192.0.2.0/24", "2001:db8::/32", "198.51.100.7/32"))),
        (Policy(max_lifetime="90d", default_lifetime="90d"), Policy(max_lifetime="90d", default_lifetime="90d")),
        (Policy(default_lifetime="forever"), Policy(default_lifetime="forever")),
    ],
)  # fmt: skip
def test_a_policy_is_stored_in_canonical_form(given_: Policy, kept: Policy) -> None:
    assert checked(given_) == kept == checked(kept)


@pytest.mark.parametrize(
    ("policy", "field"),
    [
        (Policy(max_lifetime="forever"), "max_lifetime"),
        (Policy(max_lifetime="soon"), "max_lifetime"),
        (Policy(max_lifetime="0s"), "max_lifetime"),
        (Policy(default_lifetime="0s"), "default_lifetime"),
        (Policy(max_lifetime="1d", default_lifetime="2d"), "default_lifetime"),
        (Policy(max_lifetime="1d", default_lifetime="forever"), "default_lifetime"),
        (Policy(thresholds=tuple(range(1, THRESHOLD_LIMIT + 2))), "thresholds"),
        (Policy(thresholds=(0,)), "thresholds"),
        (Policy(thresholds=(2**31,)), "thresholds"),
        (Policy(networks=("192.0.2.1/24",)), "networks"),
        (Policy(networks=("everywhere",)), "networks"),
        (Policy(networks=tuple(f"10.0.{n}.0/24" for n in range(NETWORK_LIMIT + 1))), "networks"),
    ],
)
def test_an_invalid_policy_is_refused_with_its_field(policy: Policy, field: str) -> None:
    with pytest.raises(BadPolicy) as refused:
        decide(after(MADE), command_of(ChangeAccount, policy=policy), NOW)
    assert refused.value.facts["field"] == field


def test_a_network_admits_its_addresses_and_no_caller_without_an_address() -> None:
    policy = checked(Policy(networks=("192.0.2.0/24", "2001:db8::/32")))
    assert policy.admits(ip_address("192.0.2.255"))
    assert policy.admits(ip_address("::ffff:192.0.2.1"))  # the same machine as an IPv4-mapped address
    assert policy.admits(ip_address("2001:db8::1"))
    for outside in ("192.0.3.0", "::1", "2001:db9::", "::ffff:198.51.100.1"):
        assert not policy.admits(ip_address(outside))
    assert not policy.admits(None)
    assert UNBOUND.admits(None)
    assert UNBOUND.admits(ip_address("::1"))


@drawn(st.ip_addresses(), st.ip_addresses())
def test_a_network_of_one_address_admits_that_one(one: Any, other: Any) -> None:
    policy = checked(Policy(networks=(str(one),)))
    assert policy.admits(one) or getattr(one, "ipv4_mapped", None)
    assert policy.admits(other) <= (other == one or getattr(other, "ipv4_mapped", None) == one)


def create(**lifetime: Any) -> Create:
    return Create(
        account=ACCOUNT, id=UUID(int=1), by=ADMIN, number=1, owner=CREATED.owner, name="x",
        secret=SECRET, thresholds=(86_400,), **lifetime,
    )  # fmt: skip


def issued(policy: Policy, **lifetime: Any) -> Created:
    [event] = decide_token(None, create(**lifetime), NOON, Context(policy))
    assert isinstance(event, Created)
    return event


def test_the_longest_lifetime_bounds_issued_tokens_to_the_second() -> None:
    policy = Policy(max_lifetime="10d")
    assert issued(policy, lifetime="10d").expires_at == NOON + 10 * DAY
    for lifetime in ({"lifetime": "forever"}, {"lifetime": "241h"}, {"expires_at": NOON + 10 * DAY + SECOND}, {}):
        with pytest.raises(BeyondPolicy) as refused:
            issued(policy, **lifetime)
        assert refused.value.facts == {"longest": "10d"}


def test_the_default_lifetime_applies_when_none_is_stated() -> None:
    policy = Policy(max_lifetime="10d", default_lifetime="1h")
    assert (issued(policy).lifetime, issued(policy).expires_at) == ("1h", NOON + HOUR)
    assert issued(policy, lifetime="2h").expires_at == NOON + timedelta(hours=2)
    assert issued(Policy(default_lifetime="forever")).expires_at is None


def test_the_accounts_thresholds_replace_those_of_the_installation() -> None:
    assert issued(UNBOUND, lifetime="9d").thresholds == (86_400,)
    assert issued(Policy(thresholds=(3600,)), lifetime="9d").thresholds == (3600,)
    assert issued(Policy(thresholds=()), lifetime="9d").thresholds == ()


def test_ending_all_secrets_ends_earlier_secrets_and_no_later_one() -> None:
    [event] = decide(after(MADE), command_of(EndSecrets, reason="copied"), NOW)
    assert event == SecretsEnded(private=Private(reason="copied"))
    with pytest.raises(BadText):
        decide(after(MADE), command_of(EndSecrets, reason=" "), NOW)
    ended = after(MADE, event)
    assert (ended.valid_after, ended.epoch, ended.revision) == (BORN + 2 * SECOND, 1, 2)
    context = Context(epoch=ended.epoch)
    for born in (BORN, BORN + DAY):  # whatever the clock showed at its creation
        assert isinstance(refusal_for(given((born, CREATED)).token, 1, NOON, context), SecretEnded)
        assert refusal_for(given((born, replace(CREATED, epoch=1))).token, 1, NOON, context) is None
    anew = given(CREATED, (BORN + HOUR, replace(rotated(2, BORN + 2 * DAY), epoch=1))).token
    assert refusal_for(anew, 2, BORN + DAY, context) is None
    assert isinstance(refusal_for(anew, 1, BORN + DAY, context), SecretEnded)  # its grace does not outlive the end


def test_an_impossible_command_or_event_is_a_bug_and_not_a_refusal() -> None:
    for account, event in ((None, SecretsEnded()), (None, AccountRenamed()), (after(MADE), MADE)):
        with pytest.raises(ValueError, match="cannot come here"):
            evolve(account, fact(event, 2))
    with pytest.raises(TypeError, match="no such command"):
        decide(after(MADE), command_of(Command), NOW)


def test_a_closed_catalogue_refuses_scopes_that_it_does_not_describe() -> None:
    closed = checked(Policy(catalogue_closed=True))
    assert checked(Policy(catalogue_closed=False)) == checked(Policy()) == Policy(), "nobody stated it"
    scopes, strange = ("tokens.read", "payroll.read"), ("payroll.read",)
    changing = Update(account=ACCOUNT, id=TOKEN, by=ADMIN, scopes=scopes, undescribed=strange)
    creating = create(scopes=scopes, undescribed=strange)
    for policy in (Policy(), closed):
        context = Context(policy)
        for command, history in ((creating, ()), (changing, (CREATED,))):
            if policy is not closed:
                assert given(*history).when(command, NOON, context)
                continue
            with pytest.raises(BeyondPolicy, match=r"does not describe payroll\.read; describe them") as refused:
                given(*history).when(command, NOON, context)
            assert refused.value.facts == {"undescribed": ["payroll.read"]}
    held = replace(CREATED, scopes=scopes)
    assert given(held).when(changing, NOON, Context(closed)) == [], "what it holds already is not asked again"
