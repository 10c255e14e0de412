"""Every way a call fails; a failure's message is for people, its class and `name` are for programs.

Failure
├── Refused                    the ledger said no, and nothing was changed
│   ├── Invalid                this request can never succeed (400, 413, 415, 422, …)
│   ├── Denied                 the credentials open nothing (401)
│   ├── Forbidden              they do not reach this far (403)
│   ├── NotFound               (404)
│   ├── Conflict               not possible in the present state (409)
│   ├── SecretNoLongerAvailable  it happened earlier, but its secret is not shown again (410)
│   ├── StaleRevision          it changed since you read it (412)
│   └── Unavailable            not now: every try was turned away (429, 503)
├── Unreachable                no answer; if it was a change, it was never sent
├── OutcomeUnknown             a change was sent, and no answer came back: it may have happened
└── Unintelligible             what answered is not a ledger that this client knows
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

PREFIX: Final = "urn:counterfoil:problem:"


class Failure(Exception):  # noqa: N818 - named like the refusals
    """A call did not succeed."""


class Refused(Failure):
    """The ledger refuses, and says why in the form of RFC 9457; `facts` are the members beyond the usual four.

    Introspection refuses in the form of OAuth (RFC 6749 5.2): there `name` is OAuth's, such as `invalid_client`.
    """

    def __init__(self, status: int, problem: dict[str, Any], request_id: str | None) -> None:
        self.status = status
        self.type = str(problem.pop("type", "about:blank"))
        self.title = str(problem.pop("title", f"HTTP {status}"))
        self.detail = str(problem.pop("detail", ""))
        self.request_id = request_id
        self.facts = {name: fact for name, fact in problem.items() if name not in {"status", "instance"}}
        super().__init__(f"{self.title}: {self.detail}" if self.detail else self.title)

    @property
    def name(self) -> str:
        """The stable name of the problem, such as `already-revoked`."""
        return self.type.removeprefix(PREFIX)


class Invalid(Refused):
    """This request cannot succeed in this form."""


class Denied(Refused):
    """The credentials open nothing."""


class Forbidden(Refused):
    """The caller is authenticated but not allowed to do this."""


class NotFound(Refused):
    """Nothing with this id exists in this account."""


class Conflict(Refused):
    """This is not possible in the current state."""


class SecretNoLongerAvailable(Refused):
    """It happened at an earlier try, whose secret is shown no more; `facts["subject"]` is the id of what it made."""


class StaleRevision(Refused):
    """It changed since it was read; `facts["revision"]` is the present one."""


class Unavailable(Refused):
    """The service refused every try until the deadline; nothing was changed."""


class Unreachable(Failure):
    """The service cannot be reached; nothing was changed."""


class Unintelligible(Failure):
    """The response is not from a ledger that this client knows."""


class OutcomeUnknown(Failure):
    """The change was sent, but no answer that can be relied on came back: it may have happened.

    To learn the outcome, and its secret if there is one, repeat the very same call with `idempotency_key`; without
    one (an import), just repeat it: that doubles nothing.
    """

    def __init__(self, reason: str, idempotency_key: str | None) -> None:
        self.reason = reason
        self.idempotency_key = idempotency_key
        super().__init__(f"It is not known whether this happened: {reason}")


_BY_NAME: Final[dict[str, type[Refused]]] = {"secret-no-longer-available": SecretNoLongerAvailable}
_BY_STATUS: Final[dict[int, type[Refused]]] = {
    401: Denied,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    412: StaleRevision,
    429: Unavailable,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}
_OAUTH: Final = {
    "access_denied": "Not allowed",
    "insufficient_scope": "Missing scope",
    "invalid_client": "Credentials refused",
    "invalid_request": "Invalid request",
    "server_error": "Internal error",
    "temporarily_unavailable": "Service unavailable",
}
"""Titles for OAuth errors, which have none of their own."""


def refused(status: int, content: bytes, request_id: str | None) -> Refused:
    """Return the refusal in a response; without a problem document the status alone decides."""
    try:
        problem = msgspec.json.decode(content, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # not JSON, not UTF-8, or nested too deeply
        problem = {}
    if isinstance(error := problem.pop("error", None), str):
        problem = {"type": error, "title": _OAUTH.get(error, error), "detail": problem.pop("error_description", "")}
    name = str(problem.get("type", "")).removeprefix(PREFIX)
    kind = _BY_NAME.get(name) or _BY_STATUS.get(status) or (Invalid if 400 <= status < 500 else Refused)
    return kind(status, problem, request_id)
