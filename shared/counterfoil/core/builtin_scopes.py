"""The built-in scopes with their descriptions; accounts cannot add scopes to the built-in namespaces."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Final

WORDS: Final = {
    "all": "Everything in the account, now and later: the only scope that contains every other one.",
    "tokens.*": "Everything that can be done with the account's tokens, but not what they are good for elsewhere.",
    "tokens.create": "Issue and clone tokens, with no more than the issuer holds.",
    "tokens.import": "Import tokens from elsewhere under their own secrets, with no more than the importer holds.",
    "tokens.read": "List every token, look at each, and read what happened to it.",
    "tokens.update": "Change tokens: their names, descriptions, metadata, bounds and scopes.",
    "tokens.renew": "Move the expiry of tokens.",
    "tokens.rotate": "Give tokens new secrets.",
    "tokens.suspend": "Refuse tokens for now.",
    "tokens.resume": "Accept suspended tokens again.",
    "tokens.revoke": "End tokens for ever.",
    "tokens.introspect": "Ask whether a secret or a bearer is good.",
    "own.*": "Whatever tokens.* allows, for tokens of the holder's own owner alone.",
    "self.rotate": "Let a token give itself a new secret.",
    "own.read": "List the tokens of the holder's own owner, look at each, and at the owner.",
    "users.*": "Everything that can be done with users who hold no more than the holder.",
    "users.read": "List every user, look at each, and read what happened to them.",
    "users.create": "Add users, who hold no more than whoever adds them.",
    "users.update": "Change e-mail addresses, roles and scopes of users.",
    "users.reset": "Give users new passwords, and ask them for one-time codes no more.",
    "users.disable": "Refuse users and their tokens for now, and accept them again.",
    "users.remove": "End users and their tokens for ever.",
    "alerts.read": "See what expires soon or has expired.",
    "subscriptions.*": "Everything that can be done with subscriptions.",
    "subscriptions.read": "See subscriptions with their URLs, and what was delivered.",
    "subscriptions.update": "Send events of every token of the account to a URL, and change or end that.",
    "account.read": "See the account and its policy.",
    "account.update": "Change the account's name and policy.",
    "account.end_secrets": "End every secret and bearer of the account at once.",
    "audit.read": "See what happened in the account, who has read what, and what was tried in vain.",
    "accounts.create": "Open further accounts.",
    "accounts.read": "List the accounts that this one opened.",
    "scopes.read": "Read the catalogue of scopes.",
    "scopes.update": "Write the catalogue of scopes.",
}
"""A branch contains every scope below it: tokens.* contains tokens.read; own.* works the same way."""

_VERBS: Final = tuple(word.removeprefix("tokens.") for word in WORDS if word.startswith("tokens.") and word[-1] != "*")
_SPACES: Final = frozenset(word.partition(".")[0] for word in WORDS if "." in word)
KNOWN: Final = frozenset(
    (*WORDS, *(f"{space}.*" for space in _SPACES), *(f"{whose}.{verb}" for whose in ("own", "self") for verb in _VERBS))
)
"""The actions on tokens; each may follow `own.` and `self.`."""
_RESERVED: Final = frozenset((*_SPACES, "all", "administrator"))


def stray(scope: str) -> str | None:
    """Return what is wrong with a scope in a built-in namespace that is no built-in scope; None if nothing is."""
    if scope in KNOWN or not _ours(scope):
        return None
    if near := get_close_matches(scope.lower(), sorted(KNOWN), n=1, cutoff=0.6):
        return f"{scope!r} is not a scope of Counterfoil; did you mean {near[0]}?"
    return f"{scope!r} is not a scope of Counterfoil, which reserves this word; {_named(scope)}"


def _ours(scope: str) -> bool:
    space, dot, _ = scope.lower().partition(".")
    return space in _SPACES if dot else space in _RESERVED


def _named(scope: str) -> str:
    space = scope.lower().partition(".")[0]
    known = sorted(name for name in KNOWN if name.startswith(f"{space}."))
    return f"its scopes are {', '.join(known)}." if known else "write all for everything in the account."
