"""The three steps of a batch over all kinds: lock rows, read what decisions depend on, write the changes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from counterfoil.core.kinds import KIND_OF, KIND_OF_STATE
from counterfoil.core.locked import Locked
from counterfoil.core.principal import Principal
from counterfoil.core.subjects.subject import Command, Key, Unresolved
from counterfoil.core.subjects.token.kind import TokenReads
from counterfoil.core.unit_of_work import Changes, Done
from counterfoil.postgres import batch, caller_recheck, owner_quotas, signing_keys, subject_row, subscriptions
from counterfoil.postgres.batch import Patience
from counterfoil.postgres.connection import Connection
from counterfoil.postgres.store import Store
from counterfoil.postgres.token_store import TokenStore
from counterfoil.postgres.user_store import UserStore

_NOTHING_BESIDE: Final = Store()
STORES: Final[dict[str, Store]] = {
    "token": TokenStore(),
    "user": UserStore(),
    "signing_keys": signing_keys.SigningKeyStore(),
    "owner_quota": owner_quotas.OwnerQuotaStore(),
    "subscription": subscriptions.SubscriptionStore(),
}
"""The store of each kind that reads more than its rows, or has side tables."""


async def take(
    connection: Connection, commands: Sequence[Command | Unresolved], *, patience: Patience
) -> tuple[str, Locked]:
    """Lock the rows of these commands' subjects; return them with the transaction's id."""
    tokens: dict[Key, None] = {}
    subjects: dict[Key, None] = {}
    for command in commands:
        if isinstance(command, Command):
            (tokens if _store(KIND_OF[type(command)].name).has_own_table else subjects)[command.key] = None
            subjects |= dict.fromkeys(command.guards)
    digests = dict.fromkeys(digest for command in commands for digest in command.digests)
    xid, locked = await batch.take(connection, tokens, digests, patience=patience)
    if subjects:
        await subject_row.take(connection, list(subjects), locked, patience=patience)
    return xid, locked


async def read(connection: Connection, commands: Sequence[Command | Unresolved], locked: Locked) -> None:
    """Read what the decisions depend on besides the locked rows.

    These statements run after the rows are locked and the clock is read, so that they see all commits before that
    moment. Accounts are read before callers: if the secrets of an account end in between, a new secret gets the old
    epoch, and is not accepted.
    """
    if accounts := {c.account for c in commands if isinstance(c, Command) and c.reads_account}:
        reads = locked.of(TokenReads)
        reads.accounts, peppers, reads.revoking_children = await caller_recheck.accounts(connection, accounts)
        locked.ended_peppers = frozenset(each.number for each in peppers if each.is_over(locked.clock))
    for name, own in _by_kind(commands).items():
        await _store(name).read(connection, own, locked)
    principals = list(_principals(commands, locked))
    users = [user for command in commands if isinstance(command, Command) for user in command.users]
    if principals or users:
        locked.callers |= await caller_recheck.caller_states(connection, principals, users)


async def save(connection: Connection, locked: Locked, changes: Changes) -> None:
    """Append the events, save the resulting rows, and write the side tables."""
    if changes.facts:
        await batch.append(connection, locked, changes)
    if subjects := [key for key in changes.done if not _store(_kind_at(key, changes)).has_own_table]:
        await subject_row.save(connection, ((_kind_at(key, changes), locked.rows[key]) for key in subjects))
    for name, done in _done_by_kind(changes).items():
        await _store(name).keep(connection, done)


def _store(kind: str) -> Store:
    return STORES.get(kind, _NOTHING_BESIDE)


def _by_kind(commands: Iterable[Command | Unresolved]) -> Mapping[str, list[Command | Unresolved]]:
    found: defaultdict[str, list[Command | Unresolved]] = defaultdict(list)
    for command in commands:
        found[KIND_OF[type(command)].name].append(command)
    return found


def _kind_at(key: Key, changes: Changes) -> str:
    return KIND_OF_STATE[type(changes.done[key][-1].after)].name


def _done_by_kind(changes: Changes) -> Mapping[str, list[Done]]:
    found: defaultdict[str, list[Done]] = defaultdict(list)
    for key, done in changes.done.items():
        found[_kind_at(key, changes)] += done
    return found


def _principals(commands: Iterable[Command | Unresolved], locked: Locked) -> Iterator[Principal]:
    """Yield the principals whose present state the decisions depend on."""
    for command in commands:
        yield from command.principals
        if isinstance(command, Command) and (row := locked.rows.get(command.key)) is not None:
            yield from KIND_OF[type(command)].principals(command, row.state)
