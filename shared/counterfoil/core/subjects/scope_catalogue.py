"""An account's catalogue of scopes: their meanings and documentation, and sets that are granted together.

The catalogue describes scopes and grants none. But other callers issue tokens with a set later, so a caller who changes
a set must hold all its scopes, those before and those after the change.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import Final
from uuid import UUID

from msgspec.structs import replace

from counterfoil.core import scopes, text
from counterfoil.core.events import Event, Fact, Private
from counterfoil.core.principal import ANYBODY, refuse_beyond
from counterfoil.core.refusals import BadLink, BadScope, BadText, BeyondCaller, BeyondPolicy, NotFound
from counterfoil.core.subjects.kind import Kind
from counterfoil.core.subjects.subject import (
    Command,
    DecisionContext,
    SubjectState,
    no_command,
    unexpected,
    uuid8,
)
from counterfoil.core.subjects.user_events import ROLE_SCOPES

SENTENCE_LIMIT: Final = 500
RESERVED: Final = frozenset(
    {*ROLE_SCOPES, *(f"{role}s" for role in ROLE_SCOPES), "verifier", "issuer", "reader", "all", "tokens", "own",
     "self", "users", "alerts", "account", "accounts", "audit", "scopes", "subscriptions"}
)  # fmt: skip
"""Roles, built-in sets, and first words of built-in scopes: a set with such a name could be mistaken for one."""
_LINK: Final = re.compile(r"https?://[!-~]{1,2000}")


class ScopeDescribed(Event, frozen=True, kw_only=True):
    """A scope was described or its description changed; the sentence is private (as `description`)."""

    scope: str
    documentation: str | None = None


class ScopeRemoved(Event, frozen=True, kw_only=True):
    """It is no longer in the catalogue; its holders keep it."""


class SetDefined(Event, frozen=True, kw_only=True):
    """A set of scopes that are granted together was defined or changed; name and sentence are private."""

    scopes: tuple[str, ...]


class SetRemoved(Event, frozen=True, kw_only=True):
    """The set is no longer in the catalogue; what was granted through it stays."""


SCOPE_EVENTS: Final[dict[str, type[Event]]] = {"described": ScopeDescribed, "removed": ScopeRemoved}
SET_EVENTS: Final[dict[str, type[Event]]] = {"defined": SetDefined, "removed": SetRemoved}


class DescribeScope(Command, frozen=True, kw_only=True):
    """Describe a scope in a sentence, with the http address of its documentation."""

    refusals = (BadScope, BadText, BadLink)

    scope: str
    sentence: str
    documentation: str | None = None


class RemoveScope(Command, frozen=True, kw_only=True):
    """Remove a scope from the catalogue."""

    refusals = (NotFound,)


class DefineSet(Command, frozen=True, kw_only=True):
    """Define a set of scopes by its name, or change it."""

    refusals = (BeyondCaller, BeyondPolicy, BadText)

    name: str
    sentence: str = ""
    scopes: tuple[str, ...]


class RemoveSet(Command, frozen=True, kw_only=True):
    """Remove a set from the catalogue."""

    refusals = (BeyondCaller, NotFound)


SCOPE_COMMANDS: Final = (DescribeScope, RemoveScope)
SET_COMMANDS: Final = (DefineSet, RemoveSet)


class Scope(SubjectState, frozen=True, kw_only=True):
    """One scope of the catalogue; `name` is the scope itself."""

    sentence: str = ""
    documentation: str | None = None


class ScopeSet(SubjectState, frozen=True, kw_only=True):
    """Scopes that are granted together."""

    sentence: str = ""
    scopes: tuple[str, ...] = ()


def named(account: UUID, kind: str, name: str) -> UUID:
    """Return the subject id of a name, computed from account, kind and name, so that one name is one subject."""
    return uuid8(hashlib.sha256(account.bytes + kind.encode() + b"\x00" + name.encode()).digest())


def decide_scope(scope: Scope | None, command: Command, _: DecisionContext) -> list[Event]:
    match command:
        case DescribeScope():
            return _describe(scope, command)
        case RemoveScope():
            _refuse_absent(scope, command)
            return [ScopeRemoved()]
    raise no_command(command)


def decide_set(found: ScopeSet | None, command: Command, _: DecisionContext) -> list[Event]:
    match command:
        case DefineSet():
            return _define(found, command)
        case RemoveSet():
            _refuse_absent(found, command)
            _refuse_beyond(command, found)
            return [SetRemoved()]
    raise no_command(command)


def _describe(scope: Scope | None, command: DescribeScope) -> list[Event]:
    if scope is not None:
        command.refuse_stale(scope)
    (wanted,) = scopes.checked((command.scope,))
    sentence = text.checked("sentence", command.sentence, SENTENCE_LIMIT)
    link = None if command.documentation is None else text.checked("documentation", command.documentation, 2_048)
    if link is not None and not _LINK.fullmatch(link):
        raise BadLink(field="documentation")
    if scope is not None and (scope.status, scope.sentence, scope.documentation) == ("active", sentence, link):
        return []
    return [ScopeDescribed(scope=wanted, documentation=link, private=Private(description=sentence))]


def _define(found: ScopeSet | None, command: DefineSet) -> list[Event]:
    if found is not None:
        command.refuse_stale(found)
    name, wanted = text.checked_name(command.name), scopes.checked(command.scopes)
    if not wanted:
        raise BadScope("A set of scopes has at least one scope, such as invoices.read.", field="scopes")
    _refuse_reserved(name)
    _refuse_beyond(command, found, wanted)
    sentence = text.checked("sentence", command.sentence, SENTENCE_LIMIT)
    if found is not None and (found.status, found.sentence, found.scopes) == ("active", sentence, wanted):
        return []
    return [SetDefined(scopes=wanted, private=Private(name=name, description=sentence))]


def _refuse_beyond(command: Command, found: ScopeSet | None, wanted: tuple[str, ...] = ()) -> None:
    """Raise BeyondCaller unless the caller may grant the present and the future scopes of the set to anybody."""
    there = found.scopes if found is not None and found.status == "active" else ()
    refuse_beyond(command.by, (*there, *wanted), owner=ANYBODY)


def _refuse_reserved(name: str) -> None:
    # Only letters, digits and dots tell names apart here, in any case: "Admini-strator" is taken for a role too.
    bare = "".join(c for c in unicodedata.normalize("NFKC", name).casefold() if c.isalnum() or c == ".")
    if bare.partition(".")[0] in RESERVED:
        raise BadText(
            f"{name!r} could be mistaken for a role, a scope or a set of Counterfoil; choose another name, such as"
            " 'billing'.",
            field="name",
        )


def _refuse_absent(state: SubjectState | None, command: Command) -> None:
    if state is None or state.status != "active":
        raise NotFound
    command.refuse_stale(state)


def evolve_scope(scope: Scope | None, fact: Fact) -> Scope:
    match fact.event:
        case ScopeDescribed(scope=name, documentation=link, private=private):
            sentence = private.description or ""
            if scope is None:
                return replace(Scope.created(fact, sentence=sentence, documentation=link), name=name)
            return scope.after(fact, status="active", sentence=sentence, documentation=link)
        case ScopeRemoved() if scope is not None:
            return scope.after(fact, status="removed")
    raise unexpected(fact)


def evolve_set(found: ScopeSet | None, fact: Fact) -> ScopeSet:
    match fact.event:
        case SetDefined(scopes=granted, private=private):
            sentence = private.description or ""
            if found is None:
                return ScopeSet.created(fact, sentence=sentence, scopes=granted)
            return found.after(fact, status="active", sentence=sentence, scopes=granted)
        case SetRemoved() if found is not None:
            return found.after(fact, status="removed")
    raise unexpected(fact)


SCOPE: Final = Kind("scope", Scope, SCOPE_EVENTS, SCOPE_COMMANDS, decide_scope, evolve_scope)
SCOPE_SET: Final = Kind("scope_set", ScopeSet, SET_EVENTS, SET_COMMANDS, decide_set, evolve_set)
