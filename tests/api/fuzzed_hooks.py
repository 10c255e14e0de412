"""Hooks for schemathesis: a request that fits the schema is accepted, or refused by a rule that no schema can state."""

import re
from typing import Any, Final

import schemathesis
from schemathesis.specs.openapi.checks import positive_data_acceptance

RULES: Final = {
    r"This cursor does not belong": "a cursor is signed, and belongs to one question",
    r"not both": "two fields exclude each other",
    r"passed already|has passed|in the past|still to come": "a moment is compared with the clock",
    r"years 1970 and 9999|years 1 and 9999": "RFC 3339 has no limits in a schema",
    r"(over|longer than) a hundred years|of nothing|second at least|is too short": "durations are added up",
    r"is between 0s and 366d|grace is at most": "a grace is compared with the longest one",
    r"is not how long the previous secret stays good": "a grace has an end, within a hundred years",
    r"default lifetime is longer|thresholds|networks": "fields of a policy are compared with each other",
    r"network is an address": "CIDR has no pattern that anybody could read",
    r"shows nothing|holds a secret|stacks more|is empty|control and direction": "a text is looked at as Unicode has it",
    r"first guess|tried first|common passwords|bytes|control characters": "a password is compared with guessed ones",
    r"credentials are not valid|bearer of|not valid, or no longer": "a subject token is looked up",
    r"one-time code": "a code changes every thirty seconds",
    r"has one @|is no character of Unicode|use another address": "an address is looked at as Unicode has it",
    r"no set of scopes|reserved|Counterfoil's own|scope": "which scopes and sets there are is the account's business",
    r"documentation|http or https": "a URL is read as one",
    r"to import|at least 16|secret or a digest|digest is": "a secret is measured by how well it could be guessed",
    r"Idempotency-Key was": "a key was used for something else",
    r"moment|future": "a past moment is compared with the clock, and is one in UTC",
    r"JWT|_type": "a token says itself what type it is of",
    r"log ends at": "a position is compared with the end of the log",
    r"live stream has no limit|not several": "parameters exclude each other",
    r"`(kind|type)` must be one of|Last-Event-ID has to be": "kinds, types and positions have no pattern",
    r"is not after `since`": "two moments are compared with each other",
    r"is the number -?\d+\.0; it has to be a whole": "JSON Schema counts 5.0 as an integer, and JSON readers do not",
    r"webhook's URL|has to be https": "whether a host may be called depends on its addresses",
    r"threshold is between|overlap is between": "durations are added up",
    r"has to be full hours|is not a rate limit": "durations are compared and divided",
    r"takes \* or entity tags|must be percent-encoded": "headers and queries are read as HTTP and URLs have it",
    r"past time like": "a past moment is a time or a version",
    r"quota limits something": "one of three fields is stated at least",
    r"owner|user": "whether there is such a user is no question of form",
}
"""Why something that fits the schema may be refused: what the refusal says, and the reason."""


@schemathesis.hook
def filter_case(_: schemathesis.HookContext, case: "schemathesis.Case[Any]") -> bool:
    """Leave out live streams, which have no end."""
    query: dict[str, Any] = dict(case.query or {})
    headers: dict[str, Any] = dict(case.headers or {})
    return query.get("follow") != "true" and "text/event-stream" not in str(headers.get("Accept", ""))


@schemathesis.check
def accepted_or_refused_by_a_rule(
    ctx: schemathesis.CheckContext, response: schemathesis.Response, case: "schemathesis.Case[Any]"
) -> bool | None:
    """Fail if a request that fits the schema is refused, unless one of the rules gives the reason."""
    if response.status_code in (400, 422):
        reported = response.json()
        if re.search("|".join(RULES), reported.get("detail") or reported.get("error_description") or ""):
            return None
    return positive_data_acceptance(ctx, response, case)
