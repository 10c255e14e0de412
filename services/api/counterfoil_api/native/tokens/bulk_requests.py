"""Requests to revoke many tokens at once."""

from typing import Annotated, Final

from msgspec import Meta

from counterfoil.core.credentials import ID
from counterfoil.documents.bulk_revocations import Plan
from counterfoil.documents.fields import Given, Why
from counterfoil_api.native.tokens.filters import TokenFilter
from counterfoil_api.operations.reading import path_type

BulkRevocationRef = Annotated[
    str, path_type("A bulk revocation's id.", f"^{ID.pattern}$", "019ca8c1-7b40-7000-8000-3f2a9c51d7e4")
]


class Selection(TokenFilter, frozen=True, kw_only=True):
    """A selection of tokens by the filters of the list, or `everything`; with neither or both it is refused.

    It never contains revoked tokens. Periods are half-open: from `…_after` on, before `…_before`.
    """

    everything: bool = False
    with_children: Annotated[
        bool, Meta(description="Also the tokens that these created, at any depth, until the bulk revocation ends.")
    ] = False


class PlanRequest(Given, frozen=True, kw_only=True):
    """The tokens that would be revoked."""

    filter: Selection


class RevocationRequest(Given, frozen=True, kw_only=True):
    """The tokens to revoke, the plan that contains them, and the reason."""

    filter: Selection
    plan: Plan
    reason: Why


LEAKED: Final = Selection(name="ci-*", owner_type="service", owner_id="builds")
REQUEST: Final = RevocationRequest(
    filter=LEAKED,
    plan="e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    reason="The build cluster's vault was copied.",
)
