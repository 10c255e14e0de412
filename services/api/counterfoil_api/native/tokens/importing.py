"""Import: tokens from elsewhere, under the secrets that their holders have already; each by itself, all in one call."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

from msgspec import UnsetType
from uuid_utils.compat import uuid7

from counterfoil.core import imported_secrets
from counterfoil.core.bounds import UNBOUNDED, Address, Bounds
from counterfoil.core.credentials import SecretGiven
from counterfoil.core.events import Created, Event, Fact, Subject
from counterfoil.core.imported_secrets import ALGORITHMS, Algorithm, ImportedDigest, ImportedSecret
from counterfoil.core.owners import spelt
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
from counterfoil.core.subjects.account import Policy
from counterfoil.core.subjects.token.commands import Create
from counterfoil.core.subjects.token.decide import decide
from counterfoil.core.subjects.token.state import Context, Token, evolve, room_after
from counterfoil.core.subjects.user import User
from counterfoil.core.text import normal
from counterfoil.core.unit_of_work import Outcome
from counterfoil.documents.imports import Imported, ImportReport, Imports, TokenFromElsewhere
from counterfoil.documents.owners import OwnerGiven
from counterfoil.postgres.imported_secrets import creations, holders
from counterfoil.postgres.liveness import database_time
from counterfoil.postgres.owner_quotas import rooms
from counterfoil.postgres.users import one_user
from counterfoil.settings import Settings
from counterfoil.uses.issue import Wish, creation
from counterfoil.uses.verify import Sources
from counterfoil_api.auth.conventions import OURS
from counterfoil_api.auth.principals import need
from counterfoil_api.handling.described import undescribed
from counterfoil_api.handling.reading import Reading, own_account
from counterfoil_api.handling.writing import Writing
from counterfoil_api.http.addresses import network_of
from counterfoil_api.http.problems import kind_of, problem_document
from counterfoil_api.limits.limits import Limits
from counterfoil_api.native.tokens.examples import IMPORTS
from counterfoil_api.native.users.references import owner_meant
from counterfoil_api.operations.api import Api
from counterfoil_api.operations.reading import Asker, Body, ClientAddress

api = Api("tokens", OURS)

LONGEST_BODY = 4 * 2**20
BORN = "created_at"
"""Under this name the metadata keeps when a token was made elsewhere."""
_UNFINISHED: Final = (
    "Some tokens may be imported and others not; repeat the call, which imports the rest and none twice."
)

Answer = Imported | Refusal


@api.post(
    "/v1/tokens/import",
    scope="tokens.import",
    asks=IMPORTS,
    longest_body=LONGEST_BODY,
)
async def import_tokens(
    reading: Reading,
    writing: Writing,
    sources: Sources,
    limits: Limits,
    settings: Settings,
    *,
    asker: Asker[Principal],
    address: ClientAddress,
    body: Body[Imports],
) -> ImportReport:
    """Import tokens from elsewhere.

    Each is issued or refused by itself, with no more than the asker holds. If any of them cannot be now, the call is
    answered with 503: repeating it finishes what was begun and doubles nothing. Holders go on presenting the secrets
    that they have. A weak secret is refused; of a digest it cannot be told whether what it was made of is.
    """
    need(asker, "tokens.import")
    strange = await _undescribed(reading, asker, body.tokens)
    owners = await _owners(reading, asker, body.tokens)
    given = {
        n: _prepared(sources, settings, asker, item, owners=owners, strange=strange)
        for n, item in enumerate(body.tokens)
    }
    answers: dict[int, Answer] = {n: each for n, each in given.items() if isinstance(each, Refusal)}
    answers |= await _there_already(reading, asker, given, told_of_others=not body.dry_run)
    new = {n: each for n, each in given.items() if isinstance(each, Create) and n not in answers}
    commands = list(new.values())
    if body.dry_run:
        outcomes = await _rehearsed(reading, asker, commands)
    else:
        outcomes = await _created(reading, writing, sources, asker, commands)
    answers |= dict(zip(new, outcomes, strict=True))
    if not body.dry_run:
        _take_note(limits, asker, address, [(item.secret, answers[n]) for n, item in enumerate(body.tokens)])
    return _report([answers[n] for n in given])


async def _undescribed(reading: Reading, asker: Principal, items: tuple[TokenFromElsewhere, ...]) -> frozenset[str]:
    """Which scopes of all these tokens the catalogue does not describe, asked about a token's worth at a time."""
    named = tuple(dict.fromkeys(scope for item in items for scope in item.scopes))
    parts = [named[start : start + SCOPE_LIMIT] for start in range(0, len(named), SCOPE_LIMIT)]
    return frozenset([scope for part in parts for scope in (await undescribed(reading, asker, part)).scopes])


def _take_note(
    limits: Limits, asker: Principal, address: Address | None, answers: list[tuple[str | None, Answer]]
) -> None:
    """Mark the secrets that are good here by now, and record who came upon those of others."""
    for secret, answer in answers:
        if isinstance(answer, Imported) and secret is not None:
            limits.seen_secrets.add(SecretGiven(secret))
        if isinstance(answer, SecretTaken):
            kind = kind_of(answer).name
            limits.attempts.note(asker.account, kind, asker.actor.id, network=network_of(address))


async def _created(
    reading: Reading, writing: Writing, sources: Sources, asker: Principal, commands: list[Create]
) -> list[Answer]:
    """Create them all at once, so that they share transactions; one answer each, so that none can stop the others."""
    outcomes = await asyncio.gather(*(writing.execute(each) for each in commands), return_exceptions=True)
    answers = [_answer(outcome) for outcome in outcomes]
    for algorithm in _algorithms(commands, answers):
        await sources.recognition.ensure_known(algorithm)
    _refuse_unfinished(answers)
    # A secret that somebody else imported just now may have been of this very item.
    lost = {n: commands[n] if isinstance(answer, SecretTaken) else answer for n, answer in enumerate(answers)}
    again = await _there_already(reading, asker, lost, told_of_others=True)
    return [again.get(n, answer) for n, answer in enumerate(answers)]


def _answer(outcome: Outcome | BaseException) -> Answer:
    if isinstance(outcome, Outcome):
        return Imported(status="imported", token=outcome.token.id, number=outcome.token.number)
    if isinstance(outcome, Refusal):
        return outcome
    raise outcome


def _refuse_unfinished(answers: list[Answer]) -> None:
    """Raise Unavailable if that is what became of any: said of one item, nobody would take it for "ask again"."""
    later = [answer for answer in answers if isinstance(answer, Unavailable)]
    if later and any(isinstance(answer, Imported | OutcomeUnknown) for answer in answers):
        raise OutcomeUnknown(_UNFINISHED)
    if later:
        raise later[0]


def _algorithms(commands: list[Create], answers: list[Answer]) -> set[Algorithm]:
    done = zip(commands, answers, strict=True)
    schemes = {command.secret.scheme for command, answer in done if command.secret and isinstance(answer, Imported)}
    return {algorithm for algorithm in ALGORITHMS if algorithm in schemes}


async def _rehearsed(reading: Reading, asker: Principal, commands: list[Create]) -> list[Answer]:
    """Say what would become of them."""
    policy, at = (await own_account(reading, asker)).policy, await database_time(reading.pool)
    owners = await _users(reading, asker, commands)
    full = await rooms(reading.pool, asker.account, {spelt(each.owner) for each in commands})
    answers: list[Answer] = []
    taken: set[bytes] = set()
    for command in commands:
        try:
            (created,) = decide(None, command, at, _around(policy, owners.get(command.owner.user)))
            if (room := full.get(key := spelt(command.owner))) is not None:
                full[key] = room_after(room, None, _born(command, created, at))
        except Refusal as refusal:
            answers.append(refusal)
            continue
        answers.append(Imported(status="imported") if taken.isdisjoint(command.imported_digests) else SecretTaken())
        taken.update(command.imported_digests)
    return answers


def _born(command: Create, created: Event, at: datetime) -> Token:
    """The token that would be there."""
    subject = Subject("token", command.token_id)
    by = command.by.actor
    return evolve(
        None, Fact(account=command.account, subject=subject, version=1, type="created", at=at, by=by, event=created)
    )


async def _users(reading: Reading, asker: Principal, commands: list[Create]) -> dict[UUID | None, User]:
    ids = {command.owner.user for command in commands}
    found = await asyncio.gather(*(one_user(reading.pool, asker.account, each) for each in ids if each is not None))
    return {user.id: user for user in found if user is not None}


def _around(policy: Policy, owner: User | None) -> Context:
    if owner is None:
        return Context(policy)
    return Context(policy, owner=owner.status, owner_holds=owner.held)


async def _owners(
    reading: Reading, asker: Principal, items: Iterable[TokenFromElsewhere]
) -> dict[OwnerGiven, Owner | Refusal]:
    """Whom the items name, each looked up once; or why it is nobody."""
    named = list({item.owner for item in items if item.owner is not None})
    found = await asyncio.gather(*(owner_meant(reading, asker, each) for each in named), return_exceptions=True)
    return {given: _owner(owner) for given, owner in zip(named, found, strict=True)}


def _owner(found: Owner | BaseException | None) -> Owner | Refusal:
    if isinstance(found, BaseException) and (not isinstance(found, Refusal) or isinstance(found, Unavailable)):
        raise found
    return UnknownUser(field="owner.id") if found is None else found


async def _there_already(
    reading: Reading, asker: Principal, given: Mapping[int, Create | Imported | Refusal], *, told_of_others: bool
) -> dict[int, Answer]:
    """What is to be said of those whose digest is in the ledger.

    Of another account's no more is told than that it is taken, and not even that to who only tries: it would be a way
    to guess at other people's secrets that leaves no trace.
    """
    commands = {n: each for n, each in given.items() if isinstance(each, Create)}
    held = await holders(reading.pool, (digest for each in commands.values() for digest in each.imported_digests))
    if not held:
        return {}
    whose = {n: held[d] for n, each in commands.items() for d in each.imported_digests if d in held}
    ours = {token for account, token in whose.values() if account == asker.account}
    born = await creations(reading.pool, asker.account, ours)
    return {
        n: _same(commands[n], born[token]) if account == asker.account and token in born else SecretTaken()
        for n, (account, token) in whose.items()
        if account == asker.account or told_of_others
    }


def _same(command: Create, fact: Fact) -> Answer:
    """Already there, if it is what was given then."""
    was = fact.event
    if not isinstance(was, Created):
        raise TypeError("a token begins with `created`")
    said = was.private
    same = (
        _spelt(command.owner) == _spelt(was.owner)
        and tuple(dict.fromkeys(command.scopes)) == was.scopes
        and command.lifetime in (None, was.lifetime)
        and command.expires_at in (None, was.expires_at)
        and Bounds(command.networks, command.rate_limit, command.max_uses) in (UNBOUNDED, _bounds(was))
        and (said is None or _told(command.name, command.metadata) == _told(said.name, said.metadata))
    )
    if not same:
        return SecretTaken("This secret opens another token of yours already.", token=str(fact.subject.id))
    return Imported(status="already", token=fact.subject.id, number=was.number)


def _bounds(was: Created) -> Bounds:
    return Bounds(was.networks or (), was.rate_limit or None, was.max_uses or None)


def _told(name: str | UnsetType, metadata: Mapping[str, str] | UnsetType) -> tuple[str, dict[str, str]]:
    """Return these in the form in which text is kept."""
    return normal(name or ""), {key: normal(value) for key, value in (metadata or {}).items()}


def _spelt(owner: Owner) -> tuple[str, str]:
    return owner.type, owner.id.replace("-", "").lower() if owner.type == "user" else owner.id


def _prepared(
    sources: Sources,
    settings: Settings,
    asker: Principal,
    item: TokenFromElsewhere,
    *,
    owners: Mapping[OwnerGiven, Owner | Refusal],
    strange: frozenset[str],
) -> Create | Refusal:
    owner = asker.owner if item.owner is None else owners[item.owner]
    if owner is None:
        return BadOwner("State the token's owner, such as service:billing.", field="owner")
    if isinstance(owner, Refusal):
        return owner
    try:
        secret = _secret(item)
    except Refusal as refusal:
        return refusal
    born = {} if item.created_at is None else {BORN: item.created_at.isoformat()}
    wish = Wish(
        name=item.name, owner=owner, description=item.description, scopes=item.scopes, metadata=born | item.metadata,
        networks=item.networks, rate_limit=item.rate_limit, max_uses=item.max_uses, lifetime=item.lifetime,
        expires_at=item.expires_at,
        made_at=item.created_at,
    )  # fmt: skip
    return creation(
        wish, asker, sources.peppers, token_id=uuid7(), secret=secret, thresholds=settings.thresholds,
        undescribed=tuple(scope for scope in item.scopes if scope in strange),
        imported_digests=_known_as(sources, secret),
    )  # fmt: skip


def _known_as(sources: Sources, secret: ImportedSecret | ImportedDigest) -> tuple[bytes, ...]:
    """Under which digests a secret may be in the ledger: if it was made here in a vendor's form, under those, too."""
    digests = sources.peppers.digests(secret)
    made = sources.recognition.shaped(secret.plain) if isinstance(secret, ImportedSecret) else None
    return (*digests, *sources.peppers.digests(made)) if made else digests


def _secret(item: TokenFromElsewhere) -> ImportedSecret | ImportedDigest:
    if item.secret is not None and item.digest is None:
        return imported_secrets.by_value(item.secret)
    if item.digest is not None and item.secret is None:
        return imported_secrets.by_digest(item.digest.algorithm, item.digest.value)
    raise BadSecret("Give either the secret or a digest of it, not both.", field="secret")


def _report(answers: list[Answer]) -> ImportReport:
    told = [
        Imported(status="refused", problem=problem_document(answer)) if isinstance(answer, Refusal) else answer
        for answer in answers
    ]
    counts = Counter(each.status for each in told)
    return ImportReport(imported=counts["imported"], already=counts["already"], refused=counts["refused"], results=told)
