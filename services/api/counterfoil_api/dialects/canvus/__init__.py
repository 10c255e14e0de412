"""Canvus' access tokens: those of a user, and logins that last a day."""

from typing import Final

from counterfoil_api.dialects.canvus import sessions, tokens
from counterfoil_api.dialects.canvus.api import NAME, SHAPE, api
from counterfoil_api.dialects.dialect import Dialect

DIALECT: Final = Dialect(name=NAME, title="Canvus", base="/canvus", api=api, shape=SHAPE)
"""Its operations are declared by the modules of this package."""
__all__ = ["DIALECT", "sessions", "tokens"]
