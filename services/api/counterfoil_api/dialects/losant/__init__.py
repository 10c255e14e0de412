"""Losant's application API tokens: https://docs.losant.com/rest-api/application-api-tokens.

An application is an owner of tokens, named by 24 hexadecimal digits; so is a user, whose digits a login returns.
"""

from counterfoil_api.dialects.losant import login, operations
from counterfoil_api.dialects.losant.api import DIALECT

__all__ = ["DIALECT", "login", "operations"]
