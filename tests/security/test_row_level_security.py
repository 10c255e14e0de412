"""D17. Every read without row-level security is listed with a reason."""

import ast
from collections.abc import Iterator
from pathlib import Path

from counterfoil import postgres

PLACE = Path(postgres.__file__).parent
# A connection held by the door or an audit reads by the keys of its commands, or reads everything on purpose;
# a read that borrows a connection from a pool serves one caller.
PAST_THE_WALL = {
    "scope_catalogue.family": "an account shows those that it opened, which lie beyond its own wall",
    "descent.moment": "the number of a transaction, and no rows",
    "descent.settled": "whether transactions are over, and no rows",
    "counted_use.take": "gathered over accounts, each with its own subject; counts alone, which the reader may not see",
    "deliveries.delivery_counts": "counts for the metrics, of all accounts",
    "delivery_queue.lease": "the worker's, of all accounts",
    "delivery_queue.take": "the worker's: by the key of a subscription that it has leased",
    "due.open_alerts": "counts for the metrics, of all accounts",
    "leader.is_led": "whether somebody holds a lock, and no rows",
    "due.expiring": "counts for the metrics, of all accounts",
    "due.lag_seconds": "the worker's, of all accounts",
    "due.tokens_due": "the worker's, of all accounts",
    "grace_alerts.open_graces": "counts for the metrics, of all accounts",
    "rotation_uses.graces_ending": "the worker's, of all accounts",
    "followers.follower_states": "the operator's: how far each follower of the whole log has come",
    "followers.forget": "the operator's: a position in the whole log, and no event",
    "imported_secrets.algorithms": "which kinds of imported secrets there are at all, not whose",
    "imported_secrets.holders": "secrets are unique over all accounts; found by digests, which the reader may not see",
    "liveness.database_time": "the time, and no rows",
    "bulk_revocations.open_bulk_revocations": "the worker's, of all accounts",
    "bulk_revocations.progress": "by the keys of a bulk revocation that was found in its account before",
    "liveness.ask": "no rows",
    "log_state.log_state": "counts for the metrics and for readiness, of the whole log",
    "lookup.Lookup._fetch_digests": "who is this? the account is known only afterwards",
    "lookup.Lookup._fetch_ids": "gathered over accounts, each id with its own",
    "lookup.Lookup.by_trust": "an exchange names the token alone; the account is known only afterwards",
    "numbers.Numbers._fetch": "gathered over accounts, each with its own counter, which the reader may not see",
    "one_time.accept": "a login: seeds are nothing that the reader may see",
    "one_time.place_of": "a login: recovery codes are nothing that the reader may see",
    "one_time.seed_of": "a login: seeds are nothing that the reader may see",
    "peppers.left": "the operator's: how many secrets each pepper still holds, of all accounts",
    "sealed_log.last_positions": "which accounts' logs have grown, and how far; no event, and shown to nobody",
    "subject_row.versions": "by explicit keys, to tell what is outdated; versions alone",
    "last_used.forget": "the worker's, of all accounts",
    "users.first_account": "a login that names no account means the first of all",
    "users.user_by_email": "a login: password hashes are nothing that the reader may see",
    "users.users_by_email": "the operator's, on the server: whoever is locked out, of all accounts",
}


def reading() -> Iterator[str]:
    """Every function that borrows a connection from a pool and reads without row-level security."""
    for path in sorted(PLACE.glob("*.py")):
        yield from _reading(ast.parse(path.read_text(encoding="utf-8")), path.stem)


def _reading(node: ast.AST, name: str) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | ast.AsyncFunctionDef):
            yield from _reading(child, f"{name}.{child.name}")
        elif any(_asks_a_pool(each) for each in ast.walk(child)):
            yield name


def _asks_a_pool(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Attribute)
        and node.attr in ("fetch", "fetchrow", "fetchval")
        and ast.unparse(node.value).removeprefix("self.") in ("pool", "_pool")
    )


def test_every_read_without_row_level_security_has_a_reason() -> None:
    found = set(reading())
    assert {"lookup.Lookup._fetch_ids", "users.user_by_email"} <= found, "the search itself works"
    assert found - set(PAST_THE_WALL) == set(), "read through counterfoil.postgres.tenant_connection, or say why not"
