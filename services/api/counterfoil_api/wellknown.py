"""What anybody may read: the keys that bearers are verified with."""

import msgspec

from counterfoil.refusals import Overloaded
from counterfoil_api.api import Api
from counterfoil_api.keys import PublicJwk
from counterfoil_api.ledger import Ledger

api = Api("bearers")


class Jwks(msgspec.Struct, frozen=True):
    """A key set, as RFC 7517 publishes it."""

    keys: list[PublicJwk]


@api.get("/.well-known/jwks.json", cache="public, max-age=300", refusals=(Overloaded,))
async def get_jwks(ledger: Ledger) -> Jwks:
    """Read the keys that verify our bearers."""
    return Jwks((await ledger.keys.ring()).jwks)
