"""Properties: laws that hold after every command, of any caller, in any order."""

import base64
import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from hypothesis import given, settings
from msgspec.structs import replace

from core.command_strategies import STEPS, TOKENS
from core.histories import ACCOUNT, ADMIN, BORN, DAY, fact, holding
from counterfoil.core.codec import entry_of, fact_of, leaf_hash, seal
from counterfoil.core.events import Event, Fact, Private
from counterfoil.core.kinds import EVENTS
from counterfoil.core.principal import Actor, Owner, Principal
from counterfoil.core.refusals import Refusal, SecretRetired, TokenRevoked
from counterfoil.core.scopes import missing
from counterfoil.core.subjects.token.acceptance import good_until, refusal_for
from counterfoil.core.subjects.token.commands import Exchange, TokenCommand
from counterfoil.core.subjects.token.decide import decide
from counterfoil.core.subjects.token.events import (
    UNREVISED,
    Created,
    Erased,
    Exchanged,
    Expired,
    Expiring,
    GraceExtended,
    Renewed,
    Resumed,
    Rotated,
    Updated,
)
from counterfoil.core.subjects.token.state import Token, evolve

Steps = list[tuple[TokenCommand, int, timedelta]]
LAST = BORN + 30 * DAY
MODEST = holding("a.*", expires_at=LAST)
NOTICE = (7 * 86_400, 86_400)
CALLERS = (ADMIN, MODEST, holding("a.x", "b.x"), holding())


@dataclass
class Ledger:
    """A few tokens and all their entries."""

    callers: tuple[Principal, ...]
    at: datetime = BORN
    tokens: dict[UUID, Token] = field(default_factory=dict)
    facts: dict[UUID, list[Fact]] = field(default_factory=lambda: {token: [] for token in TOKENS})
    entries: dict[UUID, list[bytes]] = field(default_factory=lambda: {token: [] for token in TOKENS})

    def bear(self, token_id: UUID, *scopes: str, days: int | None = None) -> None:
        """Start with a token that an administrator made."""
        born = Created(
            number=1, owner=Owner("application", "ada"), scopes=scopes, thresholds=NOTICE, hint="cfl_user_0000",
            lifetime=f"{days}d" if days else None, expires_at=BORN + days * DAY if days else None,
        )  # fmt: skip
        self.append(fact(born, version=1, of=token_id))

    def play(self, steps: Steps) -> None:
        for command, who, wait in steps:
            self.at += wait
            self.ask(replace(command, by=self.caller(who)))

    def caller(self, who: int) -> Principal:
        """One of the callers, or one of the tokens they made if it is good at this moment."""
        token = self.tokens.get(TOKENS[who - 4]) if who >= 4 else None
        if token is None or refusal_for(token, token.generation, self.at):
            return self.callers[who % len(self.callers)]
        actor, end = Actor("token", token.id), good_until(token, token.generation)
        return Principal(actor=actor, account=ACCOUNT, scopes=token.scopes, expires_at=end)

    def ask(self, command: TokenCommand) -> None:
        """Decide the command and append its events. Only a Refusal may be raised."""
        try:
            events = decide(self.tokens.get(command.id), command, self.at)
        except Refusal:
            return
        for event in events:
            before = self.tokens.get(command.id)
            version = before.version + 1 if before else 1
            self.append(fact(event, version=version, at=self.at, by=command.by.actor, of=command.id))
            nothing_grows_beyond_its_caller(before, self.tokens[command.id], event, command.by)
            no_secret_comes_back(before, self.tokens[command.id], self.at)
            if isinstance(event, Exchanged) and isinstance(command, Exchange):
                no_bearer_is_more_than_what_bought_it(event, command)

    def append(self, happened: Fact) -> None:
        """Append the fact and fold the state from what is read back."""
        written = self.entries[happened.subject.id]
        sealed = seal(happened, prev=leaf_hash(written[-1]) if written else None, salt=bytes(32))
        read = fact_of(entry_of(sealed.entry), sealed.private, EVENTS)
        assert read == happened
        before = self.tokens.get(happened.subject.id)
        self.tokens[happened.subject.id] = evolve(before, read)
        assert self.tokens[happened.subject.id] == evolve(before, happened)
        written.append(sealed.entry)
        self.facts[happened.subject.id].append(happened)


def nothing_grows_beyond_its_caller(before: Token | None, after: Token, event: Event, by: Principal) -> None:
    if isinstance(event, Exchanged):
        end = good_until(after, event.generation)
        assert not missing(after.scopes, event.scopes)
        assert end is None or event.expires_at <= end
        return
    grown = before is not None and (
        missing(before.scopes, after.scopes) or (isinstance(event, Updated | GraceExtended) and _longer(before, after))
    )
    if isinstance(event, Created | Renewed | Rotated | GraceExtended | Resumed | Updated):
        assert not missing(by.scopes, after.scopes)
    if isinstance(event, Created | Renewed | Rotated | Resumed) or grown:
        assert by.expires_at is None or (after.expires_at is not None and after.expires_at <= by.expires_at)
    if isinstance(event, Renewed):
        assert by.actor != Actor("token", after.id)
    if isinstance(event, Rotated) and before is not None:
        kept = {
            "generation",
            "epoch",
            "previous_until",
            "previous_epoch",
            "hint",
            "previous_hint",
            "rotated_at",
            "grace_start",
            "grace_announced",
            "last_exchanged_at",
            "version",
        }
        kept |= {"revision", "at", "updated_at"}
        assert all(getattr(before, name) == getattr(after, name) for name in set(Token.__struct_fields__) - kept)


def _longer(before: Token, after: Token) -> bool:
    ends = (before.previous_until, after.previous_until)
    return None not in ends and ends[0] < ends[1]  # type: ignore[operator] # neither of them is None


def no_secret_comes_back(before: Token | None, after: Token, at: datetime) -> None:
    """An ended former secret stays ended, and no former secret is good for years."""
    if after.previous_until is not None:
        assert after.previous_until <= at + 366 * DAY
    if before is None:
        return
    for generation in range(before.generation + 1):
        if isinstance(refusal_for(before, generation, at), SecretRetired | TokenRevoked):
            assert isinstance(refusal_for(after, generation, at), SecretRetired | TokenRevoked)


def no_bearer_is_more_than_what_bought_it(event: Exchanged, command: Exchange) -> None:
    if held := command.held:
        assert not missing(held.scopes, event.scopes)
        assert set(event.audience) <= set(held.audience)
        assert event.expires_at <= held.expires_at
    if command.actors and command.by.expires_at is not None:
        assert event.expires_at <= command.by.expires_at
    assert event.actors == command.actors


@given(STEPS)
@settings(max_examples=60)
def test_after_any_commands_the_laws_hold(steps: Steps) -> None:
    ledger = Ledger(CALLERS)
    ledger.bear(TOKENS[0], "a.*", days=40)
    ledger.bear(TOKENS[1], "a.x", days=8)
    ledger.play(steps)
    for token_id, facts in ledger.facts.items():
        assert [said.version for said in facts] == list(range(1, len(facts) + 1))
        assert [said.at for said in facts] == sorted(said.at for said in facts)
        the_state_is_its_replay(ledger.tokens.get(token_id), facts)
        notice_is_given_once(facts)
        the_chain_holds(ledger.entries[token_id])
    for token in ledger.tokens.values():
        good = [
            generation
            for generation in range(token.generation + 2)
            if refusal_for(token, generation, ledger.at) is None
        ]
        assert good in ([], [token.generation], [token.generation - 1, token.generation])


def the_state_is_its_replay(token: Token | None, facts: list[Fact]) -> None:
    replayed, blanked = None, None
    erased = max((said.version for said in facts if isinstance(said.event, Erased)), default=0)
    for said in facts:
        replayed = evolve(replayed, said)
        left = said if said.version > erased else replace(said, event=replace(said.event, private=Private()))
        blanked = evolve(blanked, left)
    assert replayed == token
    assert blanked == token, "a replay of what erasure left gives the same state"
    if token is not None:
        assert token.revision == sum(said.type not in UNREVISED for said in facts)


def notice_is_given_once(facts: list[Fact]) -> None:
    events = [said.event for said in facts]
    notices = Counter((event.expires_at, event.threshold) for event in events if isinstance(event, Expiring))
    assert max(notices.values(), default=1) == 1
    ended = False
    for event in events:
        assert not (isinstance(event, Expired) and ended), "a life ends once"
        ended = (ended or isinstance(event, Expired)) and not isinstance(event, Renewed)


def the_chain_holds(entries: list[bytes]) -> None:
    prev = None
    for entry in entries:
        parsed = json.loads(entry, parse_float=lambda text: AssertionError(f"a float: {text}"))
        assert json.dumps(parsed, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() == entry
        assert parsed["prev"] == prev
        prev = base64.b64encode(leaf_hash(entry)).decode()


@given(STEPS)
@settings(max_examples=60)
def test_a_caller_and_all_its_descendants_never_hold_more_than_the_caller_did(steps: Steps) -> None:
    ledger = Ledger((MODEST,))
    endless, bare = TOKENS[0], TOKENS[1]
    ledger.bear(endless, "b.x")
    ledger.bear(bare)
    ledger.play([(command, 0 if who in (4, 5) else who, wait) for command, who, wait in steps])
    for token in ledger.tokens.values():
        inherited = {endless: ("b.x",)}.get(token.id, ())
        assert not missing((*MODEST.scopes, *inherited), token.scopes)
        if token.expires_at is None or token.expires_at > LAST:
            assert not missing(inherited, token.scopes)
            assert token.generation == 1, "and nobody learnt its secret"
