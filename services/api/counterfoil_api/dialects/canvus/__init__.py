"""Canvus' access tokens, as its page "Access Tokens API" describes them, and logins that last a day."""

from counterfoil_api.dialects.canvus import sessions, tokens
from counterfoil_api.dialects.canvus.api import DIALECT

__all__ = ["DIALECT", "sessions", "tokens"]
