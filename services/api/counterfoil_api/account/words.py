"""The scopes of Counterfoil itself, in a sentence each, and the sets of them that come with it."""

from typing import Final

from counterfoil.subjects.user_events import ROLE_SCOPES

WORDS: Final = {
    "all": "Everything in the account, now and later: the only scope that contains every other one.",
    "tokens.*": "Everything that can be done with the account's tokens, but not what they are good for elsewhere.",
    "tokens.create": "Issue and clone tokens, with no more than the issuer holds.",
    "tokens.import": "Import tokens from elsewhere under their own secrets, with no more than the importer holds.",
    "tokens.read": "List every token, look at each, and read what happened to it.",
    "tokens.update": "Change what is said of tokens, and take scopes from them.",
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
    "account.read": "See the account and its policy.",
    "account.update": "Change the account's name and policy.",
    "account.end_secrets": "End every secret and bearer of the account at once.",
    "audit.read": "See who has read what, and what was tried in vain.",
    "accounts.create": "Open further accounts.",
    "accounts.read": "List the accounts that this one opened.",
    "scopes.read": "Read the catalogue of scopes.",
    "scopes.update": "Write the catalogue of scopes.",
}
"""A branch contains all below it: tokens.* is tokens.read and every other, own.* likewise."""

SETS: Final = {
    name: (name, sentence, held)
    for name, sentence, held in (
        ("verifier", "For a gateway that asks whether what it was shown is good.", ("tokens.introspect",)),
        ("issuer", "For a service that hands out tokens and looks after them.",
         ("tokens.create", "tokens.read", "tokens.renew", "tokens.rotate", "tokens.revoke")),
        ("reader", "For whoever only looks.", ("tokens.read", "alerts.read", "account.read", "scopes.read")),
        ("operator", "What the role of that name may do.", ROLE_SCOPES["operator"]),
        ("auditor", "What the role of that name may do.", ROLE_SCOPES["auditor"]),
        ("member", "What the role of that name may do.", ROLE_SCOPES["member"]),
    )
}  # fmt: skip
"""Name, sentence and scopes of each set."""
