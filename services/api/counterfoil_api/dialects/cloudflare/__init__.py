"""Cloudflare Access service tokens: https://developers.cloudflare.com/api/resources/zero_trust/subresources/access.

A third party presents a service token's id and secret as CF-Access-Client-Id and CF-Access-Client-Secret to a
protected service. Callers of this API present tokens with native scopes.
"""

from counterfoil_api.dialects.cloudflare import service_tokens, updates, verification
from counterfoil_api.dialects.cloudflare.api import DIALECT

__all__ = ["DIALECT", "service_tokens", "updates", "verification"]
