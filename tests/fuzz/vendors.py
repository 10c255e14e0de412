"""Parsers of foreign bytes in the dialects."""

from typing import Final

from counterfoil.core.opaque_ids import OpaqueIds
from counterfoil.core.principal import NIL
from counterfoil.core.refusals import BadExpiry, BadScope, BadText
from counterfoil_api.dialects.canvus import ids
from counterfoil_api.dialects.losant import operations
from counterfoil_api.dialects.virtuozzo import dates, methods, tokens
from counterfoil_api.http.errors import InvalidRequest
from fuzz.parser import Parser, oneof

_IDS: Final = OpaqueIds(b"k" * 32)
VENDORS: Final[dict[str, Parser]] = {
    "counterfoil_api.dialects.canvus.ids:token_of": Parser(
        lambda text: ids.token_of(_IDS, NIL, text), oneof(ids.id_of(_IDS, NIL, NIL)), known=("JDJhJDA0",)
    ),
    "counterfoil_api.dialects.losant.operations:_statuses": Parser(
        operations._statuses, oneof("active", "in*", "*"), (BadText,), known=("*",)
    ),
    "counterfoil_api.dialects.virtuozzo.dates:expiry": Parser(
        dates.expiry, oneof("2030-01-31 00:00:00", "2030-01-31", ""), (BadExpiry,), known=("2030-01-31 ",)
    ),
    "counterfoil_api.dialects.virtuozzo.methods:scope_of": Parser(
        lambda text: methods.scopes_of(methods.words((text,))),
        oneof("environment.control.GetEnvs,a.b.c", '["env.control.StopEnv"]', "['a.b.c', 'd.e.f']"),
        (BadScope,),
        known=("['", "env.control."),
    ),
    "counterfoil_api.dialects.virtuozzo.tokens:_numbers": Parser(
        lambda text: tokens._numbers(methods.words((text,))),
        oneof("1;4;6", "1,4,6", "['1', '4']"),
        (InvalidRequest,),
        known=("1;",),
    ),
}
