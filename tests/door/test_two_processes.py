"""Random commands from many callers in two processes, with connections cut: the ledger is right and complete."""

import asyncio
import random
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import uuid_utils.compat as uuids
from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from counterfoil.core.principal import Actor, Principal
from counterfoil.core.refusals import Refusal
from counterfoil.core.subjects.token import commands
from counterfoil.core.unit_of_work import Outcome, Request
from counterfoil_dev.postgres import Database, Postgres
from door.asking import ACCOUNT, ADMIN, claim_of, create, minted
from door.ledger_invariants import judged
from door.other_process import Asks, Elsewhere

TOKENS = [UUID(int=0x70 + n) for n in range(4)]
WORDS = ["create", "update", "renew", "rotate", "suspend", "resume", "revoke", "erase", "sweep", *["exchange"] * 4]
_ANSWERS_SECONDS = 30

tokens = st.sampled_from(TOKENS)
texts = st.text("aß😀 ", min_size=1, max_size=6) | st.text(max_size=4)
scopes = st.lists(st.sampled_from(("jobs.run", "jobs.*", "mail.send", "*")), max_size=3).map(tuple)
lifetimes = st.sampled_from(("forever", "1ms", "20ms", "2h45m", "0.0000015s", "90d", "nonsense"))
moments = st.datetimes(
    datetime(2020, 1, 1), datetime(2100, 1, 1),  # noqa: DTZ001 - the zones are chosen apart
    timezones=st.sampled_from((UTC, timezone(timedelta(hours=5, minutes=30)))),
)  # fmt: skip
lives: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}), lifetimes.map(lambda text: {"lifetime": text}), moments.map(lambda at: {"expires_at": at})
)
callers = st.sampled_from((ADMIN, Principal(actor=Actor("token", TOKENS[0]), account=ACCOUNT, scopes=("jobs.*",))))
revisions = st.sampled_from((None, None, None, frozenset({1}), frozenset({2, 3})))


@st.composite
def asked(draw: st.DrawFn, secrets: dict[bytes, None]) -> Request:
    """Any command about one of a few tokens; `secrets` are the digests of issued secrets."""
    word = draw(st.sampled_from(WORDS))
    about: dict[str, Any] = {"account": ACCOUNT, "id": draw(tokens), "by": draw(callers)}
    change = about | {"revisions": draw(revisions)}
    match word:
        case "create":
            return create(
                **about | draw(lives) | {"name": draw(texts), "scopes": draw(scopes), "lifetime": None} | draw(lives)
            )
        case "update":
            said: dict[str, Any] = draw(
                st.fixed_dictionaries({}, optional={"name": texts, "description": texts, "scopes": scopes})
            )
            return commands.Update(**change, **said)
        case "renew":
            return commands.Renew(**change | draw(lives))
        case "rotate":
            grace = draw(st.sampled_from((0, 0, 1, 3600, -1)))
            return commands.Rotate(**change | draw(lives), secret=minted(), grace_seconds=grace)
        case "suspend":
            return commands.Suspend(**change, reason=draw(texts))
        case "resume":
            return commands.Resume(**change)
        case "revoke" if draw(st.integers(0, 2)) == 0:  # otherwise no token would live for long
            return commands.Revoke(**change, reason=draw(texts))
        case "erase":
            return commands.Erase(**change)
        case "sweep":
            return commands.Sweep(**about)
    # Numbered, so that each draw depends only on earlier draws.
    place = draw(st.integers(0, 30))
    digest = [*secrets][-1 - place % len(secrets)] if place else b"\0" * 32
    lifetime = draw(st.sampled_from((60, 3600)))
    return commands.ExchangeSecret(digests=(digest,), jti=uuids.uuid7(), lifetime_seconds=lifetime)


class Ledger(RuleBasedStateMachine):
    """Two processes with a door each, and their answers."""

    database: Database
    server: Postgres
    runner: asyncio.Runner
    processes: list[Elsewhere]

    def __init__(self) -> None:
        super().__init__()
        self.outcomes: list[Outcome] = []
        self.secrets: dict[bytes, None] = {}
        self.replies: dict[int, set[bytes | None]] = {}

    @initialize()
    def empty(self) -> None:
        self.server.run(
            """
            alter table event disable trigger event_is_never_truncated;
            alter table secret disable trigger secret_is_never_truncated;
            truncate event, token, secret, idempotency_key;
            alter table event enable always trigger event_is_never_truncated;
            alter table secret enable always trigger secret_is_never_truncated;
            """,
            database=self.database.name,
        )
        made = [create(id=token_id, scopes=("jobs.run", "mail.send")) for token_id in TOKENS]
        answers = self.runner.run(self.processes[0].ask([(command, None) for command in made]))
        for command, answer in zip(made, answers, strict=True):
            self._note(command, None, answer)

    @rule(data=st.data())
    def ask_both(self, data: st.DataObject) -> None:
        self._ask(data, cut=False)

    @rule(data=st.data())
    def ask_both_while_lines_are_cut(self, data: st.DataObject) -> None:
        self._ask(data, cut=True)

    def _ask(self, data: st.DataObject, *, cut: bool) -> None:
        keys = st.sampled_from((None, None, None, *range(40)))
        asks = st.lists(st.tuples(asked(self.secrets), keys), min_size=1, max_size=12)
        # An exchange has no key and is never replayed.
        drawn = [
            [
                (command, None if isinstance(command, commands.ExchangeSecret) else key)
                for command, key in data.draw(asks)
            ]
            for _ in self.processes
        ]
        claimed: list[Asks] = [
            [(command, None if key is None else claim_of(f"key {key}", _body(command))) for command, key in each]
            for each in drawn
        ]
        answers = self.runner.run(self._answers(claimed, cut=cut))
        for asks_, answers_ in zip(drawn, answers, strict=True):
            for (command, key), answer in zip(asks_, answers_, strict=True):
                self._note(command, key, answer)

    async def _answers(self, asks: list[Asks], *, cut: bool) -> list[list[Any]]:
        async with asyncio.timeout(_ANSWERS_SECONDS):
            calls = [asyncio.create_task(each.ask(some)) for each, some in zip(self.processes, asks, strict=True)]
            while cut and not all(call.done() for call in calls):
                await asyncio.sleep(random.uniform(0, 0.02))
                await asyncio.to_thread(self._cut)
                cut = random.random() < 0.7
            return [await call for call in calls]

    def _cut(self) -> None:
        self.server.run(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            f" where usename = 'counterfoil_app' and datname = '{self.database.name}' and random() < 0.7"
        )

    def _note(self, command: Request, key: int | None, answer: object) -> None:
        note(f"{command} under {key}: {answer}")
        assert isinstance(answer, Outcome | Refusal)
        if isinstance(answer, Refusal):
            return
        self.outcomes.append(answer)
        if key is not None:
            self.replies.setdefault(key, set()).add(answer.reply)
        if isinstance(command, commands.Create | commands.Rotate) and command.secret and answer.facts:
            self.secrets[command.secret.digest] = None

    def teardown(self) -> None:
        ledger = self.runner.run(judged(self.database.owner_url))
        ledger.holds_exactly(self.outcomes)
        assert ledger.keys == len(self.replies)
        assert all(len(replies) == 1 for replies in self.replies.values())


def _body(command: Request) -> bytes:
    """Requests with one key mostly have the same body, so that they are replays."""
    return type(command).__name__.encode()


def test_two_processes_keep_one_ledger_consistent(database: Database, postgres_server: Postgres) -> None:
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        Ledger.database, Ledger.server, Ledger.runner = database, postgres_server, runner
        Ledger.processes = [runner.run(Elsewhere.start(database.app_url)) for _ in range(2)]
        try:
            run_state_machine_as_test(
                Ledger,
                settings=settings(
                    max_examples=6, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
                ),
            )
        finally:
            for each in Ledger.processes:
                runner.run(each.kill())
