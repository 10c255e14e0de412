"""What handlers of subscriptions use: the secrets of webhooks, and the check of their URLs."""

from dataclasses import dataclass

from counterfoil.core.refusals import BadTarget
from counterfoil.uses.egress import Egress, EgressFailed
from counterfoil.uses.webhook_secrets import WebhookSecrets


@dataclass(frozen=True, slots=True)
class Webhooks:
    """The secrets of webhooks, the way out, and how many subscriptions an account may have."""

    secrets: WebhookSecrets
    egress: Egress
    most: int

    async def refuse_target(self, url: str) -> None:
        """Raise BadTarget unless the service may post to this URL as its host resolves now.

        A host without an address is refused like one with a forbidden address: the caller learns nothing of names
        that only this network knows.
        """
        try:
            await self.egress.vet(url)
        except EgressFailed:
            raise BadTarget(field="url") from None
