"""Cloudflare Access service tokens: https://developers.cloudflare.com/api/resources/zero_trust/subresources/access.

A third party shows the id and the secret of one as CF-Access-Client-Id and CF-Access-Client-Secret to whatever it
protects; callers of this API show tokens with scopes of ours.
"""

from counterfoil_api.dialects.cloudflare import accounts, updates, verification, zones
from counterfoil_api.dialects.cloudflare.api import DIALECT

__all__ = ["DIALECT", "accounts", "updates", "verification", "zones"]
