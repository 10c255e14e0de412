"""JWTs of OIDC issuers that tokens trust: their keys are fetched, kept for a bounded time, and verify.

Usage, with the time of the database at which the token was looked up:

    claims = await ledger.issuers.verified(text, issuer=trust.issuer, audience=trust.audience, at=seen.at)
"""

from counterfoil_api.auth.issuers.issuers import Issuers, open_issuers

__all__ = ["Issuers", "open_issuers"]
