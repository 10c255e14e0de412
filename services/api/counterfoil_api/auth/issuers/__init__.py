"""JWTs of OIDC issuers that tokens trust: fetches their keys, keeps them for a bounded time, and verifies JWTs.

Usage, with the time of the database at which the token was looked up:

    claims = await issuers.verified(text, issuer=trust.issuer, audience=trust.audience, at=seen.at)
"""

from counterfoil_api.auth.issuers.issuers import Issuers, open_issuers

__all__ = ["Issuers", "open_issuers"]
