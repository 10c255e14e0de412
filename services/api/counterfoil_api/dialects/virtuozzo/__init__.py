"""Virtuozzo's (Jelastic's) personal access tokens: sessions, tokens, their methods and templates, and their use."""

from typing import Final

from counterfoil_api.dialects.dialect import Dialect
from counterfoil_api.dialects.virtuozzo import gate, sessions, templates, tokens
from counterfoil_api.dialects.virtuozzo.api import NAME, SHAPE, api

DIALECT: Final = Dialect(name=NAME, title="Virtuozzo Application Platform", base="/virtuozzo", api=api, shape=SHAPE)
"""The modules of this package declare its operations."""
__all__ = ["DIALECT", "gate", "sessions", "templates", "tokens"]
