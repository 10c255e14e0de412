"""The conventions of our own API: problem documents, and credentials in the Authorization header."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from counterfoil_api.auth.credentials import presented_by
from counterfoil_api.operations.conventions import Conventions

SCHEMES: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "token": {
            "type": "http",
            "scheme": "bearer",
            "description": "A token's secret, or the bearer that it was exchanged for.",
        },
        "password": {
            "type": "http",
            "scheme": "basic",
            "description": "A user's e-mail address and password, and their one-time code as X-Authorization-OTP. "
            "The address is looked up in the installation's first account, or in the one whose id is named before it: "
            "ACCOUNT/ADDRESS. Or an empty user with a token's secret as the password.",
        },
    }
)
OURS: Final = Conventions(credentials=lambda request, _: presented_by(request), schemes=SCHEMES)
