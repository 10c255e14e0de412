"""Templates, which are the scope sets of the account's catalogue, and the methods that a token may have."""

from collections.abc import AsyncIterator
from typing import Final, TypeVar
from uuid import UUID

from counterfoil.core.principal import Principal
from counterfoil.core.refusals import BadScope
from counterfoil.core.subjects.scope_catalogue import Scope, ScopeSet
from counterfoil.core.subjects.subject import SubjectState
from counterfoil.postgres.scope_catalogue import by_name
from counterfoil_api.auth.principals import Caller
from counterfoil_api.dialects.tokens import Tokens
from counterfoil_api.dialects.virtuozzo.answers import PermissionsAnswer, Template, TemplatesAnswer
from counterfoil_api.dialects.virtuozzo.api import api
from counterfoil_api.dialects.virtuozzo.callers import require
from counterfoil_api.dialects.virtuozzo.methods import KNOWN, PREFIX, Method, item, items, number
from counterfoil_api.dialects.virtuozzo.parameters import Nothing, Search
from counterfoil_api.operations.reading import Fields

S = TypeVar("S", bound=SubjectState)
_PAGE: Final = 200
_API_LIST: Final = Method("users.authentication.GetTokenApiList", "scopes.read")
_TEMPLATES: Final = Method("users.authentication.GetTokenTemplates", "scopes.read")


@api.both(_API_LIST.path, only_reads=True, scope=_API_LIST.scope)
async def get_token_api_list(tokens: Tokens, caller: Caller, *, fields: Fields[Search]) -> PermissionsAnswer:
    """List the methods that a token may have: well-known ones, and those in the account's catalogue."""
    await require(tokens, caller, _API_LIST)
    described = [each.name or "" async for each in _all(tokens, caller.account, ("scope", Scope), prefix=PREFIX)]
    scopes = sorted({*KNOWN, *(scope for scope in described if not scope.endswith(".*"))})
    search = (fields.search or fields.sort_param).lower()
    search = f"environment.{search.removeprefix('env.')}" if search.startswith("env.") else search
    return PermissionsAnswer(token_permissions=[item(each) for each in scopes if search in each.removeprefix(PREFIX)])


@api.both(_TEMPLATES.path, only_reads=True, scope=_TEMPLATES.scope)
async def get_token_templates(tokens: Tokens, caller: Caller, *, _: Fields[Nothing]) -> TemplatesAnswer:
    """List the templates: the scope sets of the account's catalogue."""
    await require(tokens, caller, _TEMPLATES)
    return TemplatesAnswer(
        templates=[
            Template(id=number(each.name or ""), name=each.name or "", api_list_items=items(each.scopes))
            async for each in _all(tokens, caller.account, ("scope_set", ScopeSet))
        ]
    )


async def template_named(tokens: Tokens, caller: Principal, name: str) -> ScopeSet:
    """Return the template of this name in any letter case. Raises BadScope."""
    async for each in _all(tokens, caller.account, ("scope_set", ScopeSet)):
        if (each.name or "").casefold() == name.casefold():
            return each
    raise BadScope("No template has this name; gettokentemplates lists all.", field="tokenTemplate")


async def _all(tokens: Tokens, account: UUID, kind: tuple[str, type[S]], *, prefix: str = "") -> AsyncIterator[S]:
    """Yield what the catalogue has of a kind, in the order of names with this prefix."""
    after = prefix or None
    while page := await by_name(tokens.reading.pool, account, kind, after=after, limit=_PAGE):
        for each in page:
            if not (each.name or "").startswith(prefix):
                return
            yield each
        after = page[-1].name
