"""The audit of one account's log, line by line: complete, without duplicates, without other accounts."""

import base64
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import msgspec
import pytest

from core.histories import ACCOUNT, ADMIN, BORN, CREATED, RESUMED, REVOKED, SUSPENDED
from counterfoil.core import codec
from counterfoil.core.chain import Finding
from counterfoil.core.events import Event, Fact, Private, Subject
from counterfoil.core.kinds import TYPE_OF
from counterfoil.core.principal import Owner
from counterfoil.core.subjects.token.events import Created
from counterfoil.core.subjects.token.state import Token
from counterfoil.core.subjects.user_events import UserCreated
from counterfoil.uses.audit.account_log import AccountLog

ONE, OTHER, STRANGER = UUID(int=0x71), UUID(int=0x72), UUID(int=0xBAD)
SALT = b"s" * 32


class Story:
    """Events in the API's form, one a line."""

    def __init__(self, account: UUID = ACCOUNT) -> None:
        self.account = account
        self.lines: list[bytes] = []
        self._ends: dict[UUID, codec.Sealed] = {}
        self._versions: dict[UUID, int] = {}

    def tell(self, subject: UUID, event: Event, *, kind: str = "token", late: float = 0) -> "Story":
        version = self._versions.get(subject, 0) + 1
        at = BORN + timedelta(seconds=version - late)
        fact = Fact(
            account=self.account, subject=Subject(kind, subject), version=version, type=TYPE_OF[type(event)], at=at,
            by=ADMIN.actor, event=event,
        )  # fmt: skip
        before = self._ends.get(subject)
        sealed = codec.seal(fact, prev=before.leaf if before else None, salt=SALT)
        self._ends[subject], self._versions[subject] = sealed, version
        private = None
        if sealed.private is not None:
            private = {"text": sealed.private.decode(), "salt": base64.b64encode(SALT).decode()}
        self.lines.append(line(len(self.lines) + 1, sealed.entry.decode(), private))
        return self


def line(position: int, entry: str, private: object = None) -> bytes:
    return msgspec.json.encode({"position": position, "entry": entry, "private": private})


@pytest.fixture
def story() -> Story:
    """Two tokens with alternating events: six lines."""
    told = Story().tell(ONE, CREATED).tell(OTHER, CREATED).tell(ONE, SUSPENDED).tell(OTHER, SUSPENDED)
    return told.tell(ONE, RESUMED).tell(OTHER, REVOKED)


def read(lines: Sequence[bytes], *, until: int = 0) -> tuple[AccountLog, list[Finding]]:
    log = AccountLog(ACCOUNT)
    found = [finding for each in lines for finding in log.add(each)]
    return log, [*found, *log.reach(until)]


def named(lines: Sequence[bytes], *, until: int = 0) -> list[tuple[str, int | None]]:
    return [(finding.what, finding.position) for finding in read(lines, until=until)[1]]


def edited(story: Story, position: int, **changes: object) -> list[bytes]:
    lines = list(story.lines)
    lines[position - 1] = msgspec.json.encode({**msgspec.json.decode(lines[position - 1]), **changes})
    return lines


def test_a_valid_log_gives_its_states(story: Story) -> None:
    log, found = read(story.lines, until=6)
    assert found == []
    assert log.position == 6
    states = {subject: chain.state for subject, chain in log.chains.items()}
    assert {subject: state.status for subject, state in states.items() if isinstance(state, Token)} == {
        ONE: "active",
        OTHER: "revoked",
    }


def test_a_missing_line_is_reported(story: Story) -> None:
    del story.lines[2]
    assert named(story.lines, until=6) == [("position-gap", 4), ("version-gap", 5)]


def test_missing_lines_at_the_end_are_reported(story: Story) -> None:
    assert named(story.lines[:4], until=6) == [("position-gap", 7)]


def test_lines_in_another_order_are_reported(story: Story) -> None:
    story.lines[2:4] = reversed(story.lines[2:4])
    assert named(story.lines, until=6) == [("position-gap", 4), ("position-repeated", 3)]


def test_a_repeated_line_is_reported_and_folded_once(story: Story) -> None:
    story.lines.insert(3, story.lines[2])
    log, found = read(story.lines, until=6)
    assert [finding.what for finding in found] == ["position-repeated"]
    assert log.chains[ONE].version == 3


@pytest.mark.parametrize("text", [b"", b"no json", b'{"position":1}', b'{"position":"x","entry":"{}"}', b"[" * 9_999])
def test_an_invalid_line_is_reported(story: Story, text: bytes) -> None:
    assert named([*story.lines, text]) == [("line-unreadable", 7)]


@pytest.mark.parametrize("entry", ["", "{}", '{"v":0}', "\x00", "[" * 9_999])
def test_an_invalid_entry_is_reported(story: Story, entry: str) -> None:
    assert named(edited(story, 6, entry=entry), until=6) == [("entry-unreadable", 6)]


def test_a_changed_entry_breaks_the_chain(story: Story) -> None:
    entry: str = msgspec.json.decode(story.lines[2])["entry"]
    forged = entry.replace("12:00:02Z", "12:00:03Z")
    assert forged != entry
    assert named(edited(story, 3, entry=forged), until=6) == [("prev-broken", 5)]
    assert named(edited(story, 3, entry=f"{entry} "), until=6) == [("entry-not-canonical", 3), ("prev-broken", 5)]


def test_a_moment_without_a_zone_is_invalid(story: Story) -> None:
    entry: str = msgspec.json.decode(story.lines[5])["entry"]
    assert named(edited(story, 6, entry=entry.replace("12:00:03Z", "12:00:03")), until=6) == [("entry-unreadable", 6)]
    lives = msgspec.structs.replace(CREATED, expires_at=BORN.replace(tzinfo=None))
    ((finding,),) = (read(Story().tell(ONE, lives).lines)[1],)
    assert (finding.what, finding.stored) == ("event-impossible", "created holds a time without a zone")


def test_times_that_run_backwards_are_reported() -> None:
    assert named(Story().tell(ONE, CREATED).tell(ONE, SUSPENDED, late=5).lines) == [("time-runs-backwards", 2)]


def test_an_impossible_event_is_reported(story: Story) -> None:
    assert named(Story().tell(ONE, SUSPENDED).lines) == [("event-impossible", 1)]
    assert named(Story().tell(ONE, CREATED).tell(ONE, CREATED).lines) == [("event-impossible", 2)]
    assert named(story.tell(ONE, UserCreated(role="member"), kind="user").lines) == [("event-impossible", 7)]
    endless = msgspec.structs.replace(CREATED, thresholds=(10**17,))
    assert named(Story().tell(ONE, endless).lines) == [("event-impossible", 1)]


def test_an_entry_of_another_account_is_reported_and_not_folded(story: Story) -> None:
    (smuggled,) = Story(STRANGER).tell(STRANGER, CREATED).lines
    lines = [*story.lines, msgspec.json.encode({**msgspec.json.decode(smuggled), "position": 7})]
    log, (finding,) = read(lines, until=7)
    assert (finding.what, finding.position, finding.stored) == ("entry-of-another-account", 7, str(STRANGER))
    assert STRANGER not in log.chains


@pytest.mark.parametrize(
    ("private", "expected"),
    [
        ({"text": '{"reason":"another"}', "salt": base64.b64encode(SALT).decode()}, [("commitment-broken", 3)]),
        ({"text": '{"reason":"under review"}', "salt": ""}, [("commitment-broken", 3)]),
        ({"text": "no json", "salt": ""}, [("commitment-broken", 3), ("event-unknown", 3)]),
        ({"text": "no salt"}, [("line-unreadable", 3), ("position-gap", 4), ("version-gap", 5)]),
        (None, []),
    ],
)
def test_a_private_part_is_checked_against_its_commitment(
    story: Story, private: object, expected: list[tuple[str, int]]
) -> None:
    lines = edited(story, 3, private=private)
    assert named(lines, until=6) == expected


def test_a_missing_private_part_is_reported_where_it_is_required(story: Story) -> None:
    log, _ = read(edited(story, 3, private=None), until=6)
    assert [(each.what, each.version) for each in log.chains[ONE].missing()] == [("private-part-missing", 2)]
    assert list(log.chains[OTHER].missing()) == []


def test_only_the_state_of_each_subject_is_kept_in_memory() -> None:
    story = Story().tell(ONE, CREATED)
    for _ in range(500):
        story.tell(ONE, SUSPENDED).tell(ONE, RESUMED)
    log, found = read(story.lines, until=1001)
    assert found == []
    assert len(log.chains) == 1
    assert (log.chains[ONE].events, log.chains[ONE].hidden) == (1001, [])


def test_the_context_of_a_token_has_its_owner_and_account() -> None:
    user = UUID(int=0xA)
    token = Created(
        number=1, owner=Owner("user", str(user)), scopes=("mail.send",), lifetime=None, expires_at=None,
        thresholds=(), hint="cfl_user_AAAA", private=Private(name="n", description="", metadata={}),
    )  # fmt: skip
    log, _ = read(Story().tell(ONE, token).tell(user, UserCreated(role="member"), kind="user").lines)
    state = log.chains[ONE].state
    assert isinstance(state, Token)
    assert log.context_for(state).owner_holds == ("own.*", "scopes.read")
    assert log.context_for(msgspec.structs.replace(state, owner=Owner("service", "x"))).owner_holds is None
