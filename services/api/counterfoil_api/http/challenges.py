"""The challenges of a 401 (RFC 6750, RFC 7617)."""

from collections.abc import Sequence
from typing import Final

BEARER: Final = 'Bearer realm="counterfoil"'
BASIC: Final = 'Basic realm="counterfoil", charset="UTF-8"'
_SCOPE: Final = "insufficient_scope"


def _headers(error: str = "") -> tuple[tuple[str, str], ...]:
    return (("WWW-Authenticate", f'{BEARER}, error="{error}"' if error else BEARER),)


MISSING: Final = _headers()
"""RFC 6750 3: a request without credentials gets no error code."""
BAD_REQUEST: Final = _headers("invalid_request")
INVALID_TOKEN: Final = _headers("invalid_token")
INSUFFICIENT_SCOPE: Final = _headers(_SCOPE)


def detailed(challenge: str, title: str, scope: object) -> str:
    """Add what RFC 6750 3 allows: a description of the error, and the missing scope."""
    if "error=" in challenge:
        challenge += f', error_description="{title}"'
    return f'{challenge}, scope="{scope}"' if scope is not None and f'error="{_SCOPE}"' in challenge else challenge


def arranged(offered: Sequence[str], scheme: str) -> list[str]:
    """Return the challenges of a 401, first that of the scheme which the caller used (RFC 6749 5.2).

    Only the first one states an error (RFC 6750 3.1). A caller who used Basic where it is not accepted gets that
    challenge alone.
    """
    if scheme == "basic" and BASIC not in offered:
        return [BASIC]
    in_order = sorted(offered, key=lambda each: not each.lower().startswith(f"{scheme} "))
    return [each if not at or each == BASIC else BEARER for at, each in enumerate(in_order)]
