"""What a dialect is: one vendor's API, spoken by us."""

from dataclasses import dataclass

from counterfoil.core.secret import SecretShape
from counterfoil_api.operations.api import Api


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One vendor's API. Everything of it lies under `/NAME`; what a token remembers of its maker is the name.

    `base` is the path that the vendor's client is given. `shape` is the form of the secrets that it makes; without one
    they have ours. `client_headers` are the names of a client id and its secret, where third parties present tokens
    of this dialect as such a pair to whatever they protect.
    """

    name: str
    title: str
    base: str
    api: Api
    shape: SecretShape | None = None
    client_headers: tuple[str, str] | None = None

    @property
    def openapi(self) -> str:
        """Where its OpenAPI document is."""
        return f"/{self.name}/openapi.json"
