"""The sets of scopes that come with Counterfoil."""

from typing import Final

from counterfoil.core.subjects.user_events import ROLE_SCOPES

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
