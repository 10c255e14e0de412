"""Refusals of dialects: each dialect states the status and the document; the rest is shared."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from types import MappingProxyType

import msgspec
from aiohttp import web

from counterfoil.core.refusals import Refusal
from counterfoil_api.http.problems import KINDS, kind_of, refusal_response, scrubbed


class DialectErrors(ABC):
    """Refusals in a vendor's form; `shape` is the type of every document."""

    media_type = "application/json"
    shape: type
    headers: Mapping[str, str] = MappingProxyType({})

    @abstractmethod
    def document(self, refusal: Refusal) -> msgspec.Struct:
        """Return the document; texts of a refusal come from `message_of`."""

    def status(self, refusal: Refusal) -> int:
        """Return the HTTP status: that of the native API unless the vendor has another."""
        return kind_of(refusal).status

    def response(self, refusal: Refusal) -> web.Response:
        """Return the response to a refusal."""
        return refusal_response(refusal, self.document(refusal), status=self.status(refusal), headers=self.headers)

    def shown(self, kinds: Iterable[type[Refusal]]) -> Mapping[int, Mapping[str, object]]:
        """Return examples of refusals by status and name."""
        found: dict[int, dict[str, object]] = {}
        for each in kinds:
            example = each()
            found.setdefault(self.status(example), {})[KINDS[each].name] = msgspec.to_builtins(self.document(example))
        return found


def message_of(refusal: Refusal) -> str:
    """Return the text of a refusal without anything that could be a secret."""
    return str(scrubbed(refusal.detail))
