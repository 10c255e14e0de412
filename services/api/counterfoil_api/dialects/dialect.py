"""The description of a dialect, which is a vendor's API."""

from dataclasses import dataclass

from counterfoil.core.secret import SecretShape
from counterfoil_api.operations.api import Api


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One vendor's API. All its paths are under `/NAME`, and its tokens store the name.

    `base` is the path for the vendor's client. `shape` is the form of its secrets; without one they have ours.
    `client_headers` are the header names of a client id and a secret, if third parties present tokens of this dialect
    as such a pair.
    """

    name: str
    title: str
    base: str
    api: Api
    shape: SecretShape | None = None
    client_headers: tuple[str, str] | None = None

    @property
    def openapi(self) -> str:
        """The path of its OpenAPI document."""
        return f"/{self.name}/openapi.json"
