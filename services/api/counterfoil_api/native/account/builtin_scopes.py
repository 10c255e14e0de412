"""The built-in sets of scopes."""

from typing import Final

from counterfoil.core.subjects.user_events import ROLE_SCOPES

SETS: Final = {
    name: (name, sentence, held)
    for name, sentence, held in (
        ("verifier", "For a gateway that verifies the credentials of its clients.", ("tokens.introspect",)),
        ("issuer", "For a service that issues and manages tokens.",
         ("tokens.create", "tokens.read", "tokens.renew", "tokens.rotate", "tokens.revoke")),
        ("reader", "For callers that only read.", ("tokens.read", "alerts.read", "account.read", "scopes.read")),
        ("operator", "The scopes of the role with this name.", ROLE_SCOPES["operator"]),
        ("auditor", "The scopes of the role with this name.", ROLE_SCOPES["auditor"]),
        ("member", "The scopes of the role with this name.", ROLE_SCOPES["member"]),
    )
}  # fmt: skip
"""The name, the description and the scopes of each set."""
