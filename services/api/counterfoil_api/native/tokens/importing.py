"""Imports tokens from other systems with the secrets that their holders have: many in a call, each with a result."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from uuid_utils.compat import uuid7

from counterfoil.core import imported_secrets
from counterfoil.core.bounds import Address
from counterfoil.core.credentials import SecretGiven
from counterfoil.core.events import Fact
from counterfoil.core.imported_secrets import ALGORITHMS, Algorithm, ImportedDigest, ImportedSecret
from counterfoil.core.principal import Owner, Principal
from counterfoil.core.refusals import (
    BadOwner,
    BadSecret,
    OutcomeUnknown,
    Refusal,
    SecretTaken,
    Unavailable,
    UnknownUser,
)
from counterfoil.core.scopes import SCOPE_LIMIT
from counterfoil.core.subjects.token.commands import Create
from counterfoil.core.subjects.token.events import Created
from counterfoil.core.subjects.token.state import Token
from counterfoil.core.unit_of_work import Outcome
from counterfoil.documents.imports import Imported, ImportReport, Imports, TokenFromElsewhere
from counterfoil.documents.owners import OwnerGiven
from counterfoil.settings import Settings
from counterfoil.uses.import_tokens import existing, is_same, rehearse
from counterfoil.uses.issue import Wish, creation
from counterfoil.uses.verify import Verifying
from counterfoil_api.auth.conventions import OURS
from counterfoil_api.auth.principals import Caller
from counterfoil_api.handling.described import undescribed as undescribed_of
from counterfoil_api.handling.reading import Reading
from counterfoil_api.handling.writing import Writing
from counterfoil_api.http.addresses import network_of
from counterfoil_api.http.problems import kind_of, problem_document
from counterfoil_api.limits.limits import Limits
from counterfoil_api.native.tokens.examples import IMPORTS
from counterfoil_api.native.users.references import named_owner
from counterfoil_api.operations.api import Api
from counterfoil_api.operations.reading import Body, ClientAddress

api = Api("tokens", OURS)

LONGEST_BODY = 4 * 2**20
CREATED_AT = "created_at"
"""The metadata of an imported token has its creation time in the other system under this name."""
_UNFINISHED: Final = (
    "Some tokens may be imported and others not; repeat the call, which imports the rest and none twice."
)

Answer = Imported | Refusal


@api.post("/v1/tokens/import", needs="tokens.import", example=IMPORTS, longest_body=LONGEST_BODY)
async def import_tokens(
    writing: Writing, verifying: Verifying, limits: Limits, settings: Settings, *, caller: Caller,
    address: ClientAddress, body: Body[Imports],
) -> ImportReport:  # fmt: skip
    """Import tokens from elsewhere.

    Each token is issued or refused by itself, with no more than the caller holds. If one of them can be neither at the
    moment, the reply is 503; repeat the call, which imports the rest and none twice. Holders keep the secrets that they
    have. A weak secret is refused; a digest does not show whether its secret is weak.
    """
    undescribed_scopes = await _undescribed(writing.reading, caller, body.tokens)
    owners = await _owners(writing.reading, caller, body.tokens)
    given = {
        n: _prepared(verifying, settings, caller, item, owners=owners, undescribed=undescribed_scopes)
        for n, item in enumerate(body.tokens)
    }
    answers: dict[int, Answer] = {n: each for n, each in given.items() if isinstance(each, Refusal)}
    answers |= await _existing(writing.reading, caller, given, reveals_others=not body.dry_run)
    new = {n: each for n, each in given.items() if isinstance(each, Create) and n not in answers}
    commands = list(new.values())
    if body.dry_run:
        outcomes = await _rehearsed(writing, commands)
    else:
        outcomes = await _created(writing, verifying, caller, commands)
    answers |= dict(zip(new, outcomes, strict=True))
    if not body.dry_run:
        _note(limits, caller, address, [(item.secret, answers[n]) for n, item in enumerate(body.tokens)])
    return _report([answers[n] for n in given])


async def _undescribed(reading: Reading, caller: Principal, items: tuple[TokenFromElsewhere, ...]) -> frozenset[str]:
    """Return the scopes of these tokens that the catalogue does not describe; a query takes one token's worth."""
    named = tuple(dict.fromkeys(scope for item in items for scope in item.scopes))
    parts = [named[start : start + SCOPE_LIMIT] for start in range(0, len(named), SCOPE_LIMIT)]
    return frozenset([scope for part in parts for scope in (await undescribed_of(reading, caller, part)).scopes])


def _note(limits: Limits, caller: Principal, address: Address | None, answers: list[tuple[str | None, Answer]]) -> None:
    """Mark the secrets that are good here now, and record an attempt for each that another token has."""
    for secret, answer in answers:
        if isinstance(answer, Imported) and secret is not None:
            limits.seen_secrets.add(SecretGiven(secret))
        if isinstance(answer, SecretTaken):
            kind = kind_of(answer).name
            limits.attempts.note(caller.account, kind, caller.actor.id, network=network_of(address))


async def _created(writing: Writing, verifying: Verifying, caller: Principal, commands: list[Create]) -> list[Answer]:
    """Create all at once, so that they share transactions; each gets its own answer, so that none stops the others."""
    outcomes = await asyncio.gather(*(writing.execute(each) for each in commands), return_exceptions=True)
    answers = [_answer(outcome) for outcome in outcomes]
    for algorithm in _algorithms(commands, answers):
        await verifying.secret_formats.ensure_known(algorithm)
    _refuse_unfinished(answers)
    # A secret that another call imported just now may belong to this very item.
    lost = {n: commands[n] if isinstance(answer, SecretTaken) else answer for n, answer in enumerate(answers)}
    again = await _existing(writing.reading, caller, lost, reveals_others=True)
    return [again.get(n, answer) for n, answer in enumerate(answers)]


def _answer(outcome: Outcome | BaseException) -> Answer:
    if isinstance(outcome, Outcome):
        return Imported(status="imported", token=outcome.of(Token).id, number=outcome.of(Token).number)
    if isinstance(outcome, Refusal):
        return outcome
    raise outcome


def _refuse_unfinished(answers: list[Answer]) -> None:
    """Raise Unavailable if an item got it; as one item's answer, clients would not take it for "repeat the call"."""
    later = [answer for answer in answers if isinstance(answer, Unavailable)]
    if later and any(isinstance(answer, Imported | OutcomeUnknown) for answer in answers):
        raise OutcomeUnknown(_UNFINISHED)
    if later:
        raise later[0]


def _algorithms(commands: list[Create], answers: list[Answer]) -> set[Algorithm]:
    done = zip(commands, answers, strict=True)
    schemes = {command.secret.scheme for command, answer in done if command.secret and isinstance(answer, Imported)}
    return {algorithm for algorithm in ALGORITHMS if algorithm in schemes}


async def _rehearsed(writing: Writing, commands: list[Create]) -> list[Answer]:
    """Return the answers that these items would get without `dry_run`."""
    refusals = await rehearse(writing.door, commands)
    if later := [refusal for refusal in refusals if isinstance(refusal, Unavailable)]:
        raise later[0]
    return [refusal or Imported(status="imported") for refusal in refusals]


async def _owners(
    reading: Reading, caller: Principal, items: Iterable[TokenFromElsewhere]
) -> dict[OwnerGiven, Owner | Refusal]:
    """Look up each owner that the items name once; return it, or why there is none."""
    named = list({item.owner for item in items if item.owner is not None})
    found = await asyncio.gather(*(named_owner(reading, caller, each) for each in named), return_exceptions=True)
    return {given: _owner(owner) for given, owner in zip(named, found, strict=True)}


def _owner(found: Owner | BaseException | None) -> Owner | Refusal:
    if isinstance(found, BaseException) and (not isinstance(found, Refusal) or isinstance(found, Unavailable)):
        raise found
    return UnknownUser(field="owner.id") if found is None else found


async def _existing(
    reading: Reading, caller: Principal, given: Mapping[int, Create | Imported | Refusal], *, reveals_others: bool
) -> dict[int, Answer]:
    """Return the answers to items whose secret is in the ledger already.

    Of another account's token the answer says only that the secret is taken. A dry run does not even say that: it would
    be a way to guess secrets of others that leaves no trace.
    """
    commands = {n: each for n, each in given.items() if isinstance(each, Create)}
    found = await existing(reading.pool, caller.account, commands, of_others=reveals_others)
    return {n: SecretTaken() if fact is None else _already(commands[n], fact) for n, fact in found.items()}


def _already(command: Create, fact: Fact) -> Answer:
    if not is_same(command, fact):
        return SecretTaken("This secret opens another token of yours already.", token=str(fact.subject.id))
    return Imported(
        status="already", token=fact.subject.id, number=fact.event.number if isinstance(fact.event, Created) else None
    )


def _prepared(
    verifying: Verifying, settings: Settings, caller: Principal, item: TokenFromElsewhere, *,
    owners: Mapping[OwnerGiven, Owner | Refusal], undescribed: frozenset[str],
) -> Create | Refusal:  # fmt: skip
    owner = caller.owner if item.owner is None else owners[item.owner]
    if owner is None:
        return BadOwner("State the token's owner, such as service:billing.", field="owner")
    if isinstance(owner, Refusal):
        return owner
    try:
        secret = _secret(item)
    except Refusal as refusal:
        return refusal
    created_at = {} if item.created_at is None else {CREATED_AT: item.created_at.isoformat()}
    wish = Wish(
        name=item.name, owner=owner, description=item.description, scopes=item.scopes,
        metadata=created_at | item.metadata, networks=item.networks, rate_limit=item.rate_limit,
        max_uses=item.max_uses, lifetime=item.lifetime, expires_at=item.expires_at, made_at=item.created_at,
    )  # fmt: skip
    return creation(
        wish, caller, verifying.peppers, token_id=uuid7(), secret=secret, thresholds=settings.thresholds,
        undescribed=tuple(scope for scope in item.scopes if scope in undescribed),
        imported_digests=_digests(verifying, secret),
    )  # fmt: skip


def _digests(verifying: Verifying, secret: ImportedSecret | ImportedDigest) -> tuple[bytes, ...]:
    """Return the digests that a secret may have in the ledger, also as one made here in a vendor's form."""
    digests = verifying.peppers.digests(secret)
    made = verifying.secret_formats.shaped(secret.plain) if isinstance(secret, ImportedSecret) else None
    return (*digests, *verifying.peppers.digests(made)) if made else digests


def _secret(item: TokenFromElsewhere) -> ImportedSecret | ImportedDigest:
    if item.secret is not None and item.digest is None:
        return imported_secrets.by_value(item.secret)
    if item.digest is not None and item.secret is None:
        return imported_secrets.by_digest(item.digest.algorithm, item.digest.value)
    raise BadSecret("Give either the secret or a digest of it, not both.", field="secret")


def _report(answers: list[Answer]) -> ImportReport:
    results = [
        Imported(status="refused", problem=problem_document(answer)) if isinstance(answer, Refusal) else answer
        for answer in answers
    ]
    counts = Counter(each.status for each in results)
    return ImportReport(
        imported=counts["imported"], already=counts["already"], refused=counts["refused"], results=results
    )
