"""An account (a tenant): its policy for tokens, and the event that ends all its secrets at once."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from counterfoil.core import text
from counterfoil.core.bounds import Address, admits, checked_networks
from counterfoil.core.duration import FOREVER, length
from counterfoil.core.events import Event, Fact, Private
from counterfoil.core.refusals import (
    AlreadyExists,
    BadDuration,
    BadNetwork,
    BadPolicy,
    BeyondCaller,
    BeyondPolicy,
    NotFound,
)
from counterfoil.core.subjects.kind import Kind
from counterfoil.core.subjects.subject import Command, DecisionContext, SubjectState, no_command, unexpected

THRESHOLD_LIMIT: Final = 10


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """The rules of an account for its tokens and callers; none of them is retroactive.

    Lifetimes are durations such as 90d; `thresholds` are seconds before an expiry at which notice is given (None:
    those of the installation); `networks` in CIDR form, none of them meaning anywhere.
    """

    max_lifetime: str | None = None
    default_lifetime: str | None = None
    thresholds: tuple[int, ...] | None = None
    networks: tuple[str, ...] = ()
    catalogue_closed: bool | UnsetType = UNSET  # omitted from entries if no caller stated it
    """Whether scopes of the customer's own may be granted only if the catalogue describes them."""

    def admits(self, address: Address | None) -> bool:
        """Say whether a caller at this address may use the account. An unknown address is in no network."""
        return admits(self.networks, address)

    def refuse_beyond(self, at: datetime, expires_at: datetime | None) -> None:
        """Raise BeyondPolicy if a lifetime that starts now is longer than the policy allows."""
        if self.max_lifetime is None:
            return
        if expires_at is None or expires_at > at + length(self.max_lifetime):
            raise BeyondPolicy(
                f"Tokens of this account live for at most {self.max_lifetime}; state a shorter lifetime.",
                longest=self.max_lifetime,
            )

    def refuse_undescribed(self, scopes: tuple[str, ...]) -> None:
        """Raise BeyondPolicy for scopes that the catalogue does not describe, if it is closed."""
        if scopes and self.catalogue_closed is True:
            raise BeyondPolicy(
                f"The account's catalogue of scopes is closed and does not describe {', '.join(scopes[:5])}; "
                "describe them in the catalogue first.",
                undescribed=list(scopes[:20]),
            )


UNBOUND: Final = Policy()


class AccountCreated(Event, frozen=True, kw_only=True):
    """An account was created; its name is private. The account `parent` created it, None is the server itself."""

    parent: UUID | None = None


class AccountRenamed(Event, frozen=True, kw_only=True):
    """It has another name, which is private."""


class PolicyChanged(Event, frozen=True, kw_only=True):
    """Another policy holds from now on."""

    policy: Policy


class SecretsEnded(Event, frozen=True, kw_only=True):
    """An epoch is over: every secret made in it is refused for ever, and every bearer that was issued for one."""


EVENTS: Final[dict[str, type[Event]]] = {
    "created": AccountCreated,
    "renamed": AccountRenamed,
    "policy_changed": PolicyChanged,
    "secrets_ended": SecretsEnded,
}


class CreateAccount(Command, frozen=True, kw_only=True):
    """Open an account; `id` and `account` are the same."""

    refusals = (BeyondCaller,)

    name: str
    parent: UUID | None = None


class ChangeAccount(Command, frozen=True, kw_only=True):
    """Replace its name or its whole policy; fields that are UNSET stay."""

    refusals = (BadPolicy,)

    name: str | UnsetType = UNSET
    policy: Policy | UnsetType = UNSET


class EndSecrets(Command, frozen=True, kw_only=True):
    """End every secret and bearer of the account at once; passwords stay, and tokens may be given new secrets."""

    reason: str


COMMANDS: Final = (CreateAccount, ChangeAccount, EndSecrets)


class Account(SubjectState, frozen=True, kw_only=True):
    """The present state of an account; secrets of earlier epochs were ended, the last time at `valid_after`."""

    parent: UUID | None = None
    policy: Policy = UNBOUND
    epoch: int = 0
    valid_after: datetime | None = None


def decide(account: Account | None, command: Command, _: DecisionContext) -> list[Event]:
    if isinstance(command, CreateAccount):
        if account is not None:
            raise AlreadyExists
        return [AccountCreated(parent=command.parent, private=Private(name=text.checked_name(command.name)))]
    if account is None:
        raise NotFound
    command.refuse_stale(account)
    match command:
        case ChangeAccount(name=name, policy=policy):
            events: list[Event] = []
            if name is not UNSET and (new_name := text.checked_name(name)) != account.name:
                events.append(AccountRenamed(private=Private(name=new_name)))
            if policy is not UNSET and (new_policy := checked(policy)) != account.policy:
                events.append(PolicyChanged(policy=new_policy))
            return events
        case EndSecrets(reason=reason):
            return [SecretsEnded(private=Private(reason=text.checked_reason(reason)))]
    raise no_command(command)


def evolve(account: Account | None, fact: Fact) -> Account:
    match fact.event:
        case AccountCreated(parent=parent) if account is None:
            return Account.created(fact, parent=parent)
        case AccountRenamed(private=private) if account is not None:
            return account.after(fact, name=private.name or None)
        case PolicyChanged(policy=policy) if account is not None:
            return account.after(fact, policy=policy)
        case SecretsEnded() if account is not None:
            return account.after(fact, epoch=account.epoch + 1, valid_after=fact.at)
    raise unexpected(fact)


def checked(policy: Policy) -> Policy:
    """Return the policy with its networks in canonical form, or raise BadPolicy."""
    longest, default = (
        _length("max_lifetime", policy.max_lifetime),
        _length("default_lifetime", policy.default_lifetime),
    )
    if longest is not None and (policy.default_lifetime == FOREVER or (default is not None and default > longest)):
        raise BadPolicy(
            f"The default lifetime {policy.default_lifetime} is longer than the longest, {policy.max_lifetime}.",
            field="default_lifetime",
        )
    thresholds = policy.thresholds
    if thresholds is not None:
        if len(thresholds) > THRESHOLD_LIMIT or any(not 0 < seconds < 2**31 for seconds in thresholds):
            raise BadPolicy(
                f"A policy has at most {THRESHOLD_LIMIT} thresholds, each of at least a second, such as 7d.",
                field="thresholds",
            )
        thresholds = tuple(sorted(set(thresholds), reverse=True))
    return Policy(
        max_lifetime=policy.max_lifetime, default_lifetime=policy.default_lifetime, thresholds=thresholds,
        networks=_canonical(policy.networks), catalogue_closed=policy.catalogue_closed or UNSET,
    )  # fmt: skip


def _length(field: str, value: str | None) -> timedelta | None:
    if value is None or (value == FOREVER and field == "default_lifetime"):
        return None
    try:
        found = length(value)
    except BadDuration as refusal:
        raise BadPolicy(refusal.detail, field=field) from None
    if not found:
        raise BadPolicy(f"A lifetime of {value} is zero; give one such as 90d.", field=field)
    return found


def _canonical(networks: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return checked_networks(networks)
    except BadNetwork as refusal:
        raise BadPolicy(refusal.detail, field="networks") from None


KIND: Final = Kind("account", Account, EVENTS, COMMANDS, decide, evolve)
