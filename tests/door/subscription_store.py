"""Subscriptions in Postgres: the URLs of each account, in a side table."""

from collections.abc import Sequence
from typing import Final

from counterfoil.core.locked import Locked
from counterfoil.core.subjects.subject import Command, Unresolved
from counterfoil.core.unit_of_work import Done
from counterfoil.postgres.connection import Connection
from counterfoil.postgres.store import Store
from door.subscription_kind import Subscribe, SubscriptionReads, Unsubscribe

TABLE: Final = """
create table subscription_url (
  account_id uuid not null,
  url text not null,
  subject_id uuid not null,
  primary key (account_id, url)
)"""
PRIVILEGES: Final = "select, insert, delete"


class SubscriptionStore(Store):
    """The store of subscriptions."""

    async def read(self, connection: Connection, commands: Sequence[Command | Unresolved], locked: Locked) -> None:
        """Read the URLs of the accounts, whose rows are already locked."""
        accounts = {command.account for command in commands if isinstance(command, Subscribe)}
        rows = await connection.fetch(
            "select account_id, url from subscription_url where account_id = any($1::uuid[])", list(accounts)
        )
        locked.of(SubscriptionReads).urls = {
            account: frozenset(row["url"] for row in rows if row["account_id"] == account) for account in accounts
        }

    async def keep(self, connection: Connection, done: Sequence[Done]) -> None:
        """Write the URL of a new subscription and delete that of an ended one."""
        for each in done:
            match each.command:
                case Subscribe(account=account, id=subject, url=url):
                    await connection.execute("insert into subscription_url values ($1, $2, $3)", account, url, subject)
                case Unsubscribe(account=account, id=subject):
                    await connection.execute(
                        "delete from subscription_url where (account_id, subject_id) = ($1, $2)", account, subject
                    )
