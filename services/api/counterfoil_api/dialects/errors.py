"""Refusals of dialects: each dialect states the status and the document of a refusal; the rest is shared."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import msgspec
from aiohttp import web

from counterfoil.core.refusals import Refusal
from counterfoil_api.http.problems import KINDS, kind_of, refusal_response, scrubbed


def native_status(refusal: Refusal) -> int:
    """Return the HTTP status of the native API."""
    return kind_of(refusal).status


@dataclass(slots=True, kw_only=True, eq=False)
class DialectErrors:
    """Refusals in a vendor's form: the type of every document, how one is made of a refusal, and its HTTP status."""

    shape: type
    document: Callable[[Refusal], msgspec.Struct]
    status: Callable[[Refusal], int] = native_status
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self, refusal: Refusal) -> web.Response:
        """Return the response to a refusal."""
        return refusal_response(refusal, self.document(refusal), status=self.status(refusal), headers=self.headers)

    def examples(self, kinds: Iterable[type[Refusal]]) -> Mapping[int, Mapping[str, object]]:
        """Return examples of refusals by status and name."""
        found: dict[int, dict[str, object]] = {}
        for each in kinds:
            example = each()
            found.setdefault(self.status(example), {})[KINDS[each].name] = msgspec.to_builtins(self.document(example))
        return found


def message_of(refusal: Refusal) -> str:
    """Return the text of a refusal without anything that could be a secret."""
    return str(scrubbed(refusal.detail))
