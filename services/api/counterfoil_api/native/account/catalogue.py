"""The account's catalogue of scopes, and its scope sets."""

from collections.abc import Iterable
from typing import Annotated

from counterfoil.core.builtin_scopes import WORDS
from counterfoil.core.principal import Principal
from counterfoil.core.refusals import BadScope
from counterfoil.core.subjects.scope_catalogue import (
    DefineSet,
    DescribeScope,
    RemoveScope,
    RemoveSet,
    Scope,
    ScopeSet,
    named,
)
from counterfoil.core.text import normal
from counterfoil.documents.fields import SCOPE
from counterfoil.documents.scope_catalogue import ScopeDocument, ScopeGiven, ScopePage, SetDocument, SetGiven, SetPage
from counterfoil.postgres.scope_catalogue import those
from counterfoil_api.auth.conventions import OURS
from counterfoil_api.auth.principals import Caller
from counterfoil_api.handling.described import refuse_undescribed
from counterfoil_api.handling.reading import PageQuery, Reading
from counterfoil_api.handling.writing import Writing
from counterfoil_api.native.account.builtin_scopes import SETS
from counterfoil_api.operations.api import Api
from counterfoil_api.operations.reading import Body, IfMatch, Query, path_type
from counterfoil_api.operations.replies import Tagged

api = Api("scopes", OURS)


ScopeName = Annotated[str, path_type("A scope, such as invoices.read.", SCOPE, "invoices.read")]
SetName = Annotated[str, path_type("The name of a set of scopes.", "^[^/]{1,255}$", "accounting")]


@api.get("/v1/scopes", instead_of=("GET /v1/scopes/{scope}",), needs="scopes.read")
async def list_scopes(reading: Reading, caller: Caller, *, query: Query[PageQuery]) -> ScopePage:
    """List the scopes of the catalogue."""
    page, more = await reading.page_by_name(caller, ("scope", Scope), query)
    built_in = WORDS if query.cursor is None else {}
    known = (ScopeDocument(scope=scope, sentence=sentence, built_in=True) for scope, sentence in built_in.items())
    return ScopePage(items=[*known, *map(_scope, page)], next_cursor=more)


@api.put("/v1/scopes/{scope}", executes=(DescribeScope,), instead_of=("POST /v1/scopes",), needs="scopes.update")
async def describe_scope(
    writing: Writing, caller: Caller, *, scope: ScopeName, body: Body[ScopeGiven], if_match: IfMatch
) -> Tagged[ScopeDocument]:
    """Describe a scope.

    A description neither grants a scope nor prevents a grant.
    """
    command = DescribeScope(
        account=caller.account, id=named(caller.account, "scope", scope), by=caller, revisions=if_match,
        scope=scope, sentence=body.sentence, documentation=body.documentation,
    )  # fmt: skip
    state = (await writing.execute(command)).of(Scope)
    return Tagged(_scope(state), state.revision)


@api.delete("/v1/scopes/{scope}", executes=(RemoveScope,), needs="scopes.update")
async def remove_scope(
    writing: Writing, caller: Caller, *, scope: ScopeName, if_match: IfMatch
) -> Tagged[ScopeDocument]:
    """Remove a scope from the catalogue; tokens and users keep it."""
    subject = named(caller.account, "scope", scope)
    command = RemoveScope(account=caller.account, id=subject, by=caller, revisions=if_match)
    state = (await writing.execute(command)).of(Scope)
    return Tagged(_scope(state), state.revision)


@api.get("/v1/scope-sets", instead_of=("GET /v1/scope-sets/{name}",), needs="scopes.read")
async def list_scope_sets(reading: Reading, caller: Caller, *, query: Query[PageQuery]) -> SetPage:
    """List the scope sets."""
    page, more = await reading.page_by_name(caller, ("scope_set", ScopeSet), query)
    built_in = SETS.values() if query.cursor is None else ()
    known = (SetDocument(name=name, sentence=says, scopes=scopes, built_in=True) for name, says, scopes in built_in)
    return SetPage(items=[*known, *map(_set, page)], next_cursor=more)


@api.put("/v1/scope-sets/{name}", executes=(DefineSet,), instead_of=("POST /v1/scope-sets",), needs="scopes.update")
async def define_scope_set(
    writing: Writing, caller: Caller, *, name: SetName, body: Body[SetGiven], if_match: IfMatch
) -> Tagged[SetDocument]:
    """Define a set of scopes, to grant them by its name; earlier grants stay as they are.

    Others issue tokens with the set, so the caller needs every scope that it has before and after the change; for
    `own.…` scopes the scope over all tokens. The names of roles, built-in sets and native scopes are reserved.
    """
    name = normal(name)
    await refuse_undescribed(writing.reading, caller, body.scopes)
    command = DefineSet(
        account=caller.account, id=named(caller.account, "scope_set", name), by=caller, revisions=if_match,
        name=name, sentence=body.sentence, scopes=body.scopes,
    )  # fmt: skip
    state = (await writing.execute(command)).of(ScopeSet)
    return Tagged(_set(state), state.revision)


@api.delete("/v1/scope-sets/{name}", executes=(RemoveSet,), needs="scopes.update")
async def remove_scope_set(
    writing: Writing, caller: Caller, *, name: SetName, if_match: IfMatch
) -> Tagged[SetDocument]:
    """Remove a scope set; the caller needs all its scopes."""
    subject = named(caller.account, "scope_set", normal(name))
    command = RemoveSet(account=caller.account, id=subject, by=caller, revisions=if_match)
    state = (await writing.execute(command)).of(ScopeSet)
    return Tagged(_set(state), state.revision)


async def expanded(
    reading: Reading, caller: Principal, scopes: tuple[str, ...], sets: Iterable[str]
) -> tuple[str, ...]:
    """Return these scopes and those of the named sets. Raises BadScope for an unknown set."""
    wanted = dict.fromkeys(map(normal, sets))
    if not wanted:
        return scopes
    ids = [named(caller.account, "scope_set", name) for name in wanted if name not in SETS]
    own = {each.name: each.scopes for each in await those(reading.pool, caller.account, ids, ScopeSet)}
    known = own | {name: held for name, _, held in SETS.values()}
    if unknown := [name for name in wanted if name not in known]:
        raise BadScope(f"There is no set of scopes called {unknown[0][:100]!r}.", field="scope_sets")
    return tuple(dict.fromkeys((*scopes, *(scope for name in wanted for scope in known[name]))))


def _scope(state: Scope) -> ScopeDocument:
    return ScopeDocument(
        scope=state.name or "", sentence=state.sentence, documentation=state.documentation, revision=state.revision
    )


def _set(state: ScopeSet) -> SetDocument:
    return SetDocument(name=state.name or "", sentence=state.sentence, scopes=state.scopes, revision=state.revision)
