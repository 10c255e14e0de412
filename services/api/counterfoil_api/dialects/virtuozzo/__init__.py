"""Virtuozzo's (Jelastic's) personal access tokens: sessions, tokens, their methods and templates, and their use."""

from typing import Final

from counterfoil_api.dialects.dialect import Dialect
from counterfoil_api.dialects.virtuozzo import gate, sessions, templates, tokens
from counterfoil_api.dialects.virtuozzo.api import NAME, SHAPE, api

DIALECT: Final = Dialect(name=NAME, title="Virtuozzo Application Platform", base="/virtuozzo", api=api, shape=SHAPE)
"""Its operations are declared by the modules of this package."""
__all__ = ["DIALECT", "gate", "sessions", "templates", "tokens"]
