"""Virtuozzo's (Jelastic's) personal access tokens, as its page "Personal Access Tokens" describes them, and their use.

A method `users.authentication.CreateToken` has the path `/users/authentication/rest/createtoken`.
"""

from counterfoil_api.dialects.virtuozzo import gate, sessions, templates, tokens
from counterfoil_api.dialects.virtuozzo.api import DIALECT

__all__ = ["DIALECT", "gate", "sessions", "templates", "tokens"]
