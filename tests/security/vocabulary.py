"""The parameters of the API's operations: which of them name a thing of an account, and which name nothing."""

from typing import Final

NAMES: Final[dict[str, tuple[str, ...]]] = {
    "path ref": ("token", "token number"),
    "path user": ("user", "user number"),
    "path scope": ("scope",),
    "path name": ("set",),
    "path owner_id": ("owner",),
    "owner_id": ("owner", "user"),
    "owner.id": ("owner", "user"),
    "path revocation": ("bulk_revocation",),
    "path subscription": ("subscription",),
    "path delivery": ("delivery",),
    "plan": ("plan",),
    "cursor": ("cursor",),
    "reader": ("user", "token"),
    "subject": ("user", "token"),
    "creator": ("user", "token"),
    "actor": ("user", "token"),
    "user": ("user", "user number"),
    "token": ("secret", "bearer", "token"),
    "client_id": ("token",),
    "scope": ("scope",),
    "scopes[]": ("scope",),
    "scope_sets[]": ("set",),
    "email": ("email",),
    "administrator.email": ("email",),
}
"""What names something that an account has, and the kinds of things that may be named there."""
WORDS: Final = frozenset({
    "name", "description", "metadata", "reason", "sentence", "documentation", "status", "role", "kind",
    "sort", "limit", "as_of", "owner_type", "path owner_type", "max_tokens",
    "owner.type", "lifetime", "grace", "expires_at", "expires_in",
    "created_at", "created_after", "created_before", "expires_after", "expires_before", "last_used_after",
    "last_used_before", "audience", "audience[]", "resource[]", "token_type_hint", "policy.max_lifetime",
    "policy.default_lifetime", "policy.notices[]", "policy.networks[]",
    "policy.catalogue_closed", "shut_me_out", "administrator.password",
    "password", "code", "grant_type", "subject_token_type", "actor_token_type", "requested_token_type", "dry_run",
    "digest.algorithm", "type", "url", "source", "everything", "unused_since", "with_children",
    "networks[]", "rate_limit", "max_uses", "events[]", "token_name", "threshold", "ordered", "overlap",
    "metadata[]", "within", "since", "until", "after", "kind[]", "type[]", "accounts",
    "used", "days", "window", "min_used", "min_percent", "keeps_lifetime",
    "follow", "ends_previous", "even_if_unused",
    "trust.issuer", "trust.audience", "trust.claims", "trust.once", "issuer",
})  # fmt: skip
"""What names nothing: text, times, choices, numbers."""
PROOFS: Final = frozenset({
    "client_secret", "subject_token", "actor_token", "secret", "digest.value", "[]", "[].token"
})  # fmt: skip
"""What proves itself: who holds a secret may use it and end it, whosever it is. Of it nothing is to be hidden."""
