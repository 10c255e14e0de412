"""Every function of ours that reads foreign bytes: how it is fuzzed, or why no foreign bytes reach it."""

from typing import Final

from fuzz.core import CORE
from fuzz.parser import Parser
from fuzz.vendors import VENDORS
from fuzz.web import WEB

PARSERS: Final[dict[str, Parser]] = {**CORE, **VENDORS, **WEB}
"""Called one by one."""

BY_DOCUMENTS: Final = frozenset(
    f"counterfoil_api.operations.{name}"
    for name in (
        *("readers:_converter", "readers:_decoded", "readers:_query_reader", "retries:by_key"),
        *("readers:_typed", "readers:converted", "validation_errors:misread", "validation_errors:named"),
        *(
            "validation_errors:_hint",
            "validation_errors:_shown",
            "validation_errors:_unknown",
            "validation_errors:_at_path",
        ),
    )
)
"""Read within what `test_documents.py` reads, for every operation."""

BY_SERVICE: Final = frozenset(
    {
        "counterfoil.core.subjects.scope_catalogue:_describe",
        "counterfoil.core.principal:Owner.user",
        "counterfoil.core.owners:checked_owner",
        "counterfoil.core.glob:Glob.matches",
        "counterfoil.core.glob:read",
        "counterfoil_api.dialects.cloudflare.api:by_attempt",
        "counterfoil_api.dialects.cloudflare.paths:zone_of",
        "counterfoil_api.dialects.ids:uuid_of",
        "counterfoil_api.dialects.losant.operations:_place",
        "counterfoil_api.dialects.canvus.users:user_named",
        "counterfoil.core.text:checked",
        "counterfoil_api.native.tokens.alerts:list_alerts",
        "counterfoil_api.native.tokens.bulk:_permitted",
        "counterfoil_api.native.tokens.reading:_moment",
        "counterfoil_api.native.tokens.reading:_owner_of",
        "counterfoil_api.auth.one_time:OneTimeCodes.accepts",
        "counterfoil_api.auth.one_time:OneTimeCodes.confirm",
        "counterfoil_api.native.events.log_request:_named",
        "counterfoil_api.native.tokens.references:found",
        "counterfoil_api.native.tokens.references:is_reference",
        "counterfoil_api.native.users.references:_parsed",
        "counterfoil_api.native.oauth.assertions:_id_of",
    }
)
"""Read on the way of a request, which `test_service.py` makes of every operation."""

_ANSWER: Final = "our own answer, kept encrypted under an Idempotency-Key"
OURS: Final = {
    "counterfoil.core.chain:Chain._form": "an entry that `entry_of` has read before",
    "counterfoil.core.codec:fact_of": "an entry that `entry_of` has read before; what does not fit is a finding",
    "counterfoil.cli.calls:_read": "a file of the person who calls",
    "counterfoil.cli.calls:ask_with": "the address that the person who calls has stated",
    "counterfoil.cli.export_file:_remembered": "a file that we wrote",
    "counterfoil.cli.processes:_role": "DATABASE_URL, which the settings have read before",
    "counterfoil.cli.login_file:_is_login": "a file of the person who calls",
    "counterfoil.cli.tables:_narrowest": "cells and widths that we made",
    "counterfoil.cli.tables:width": "the width that the terminal of the person who calls has",
    "counterfoil.cli.tables:_wrapped": "cells and widths that we made",
    "counterfoil.cli.whoami:_introspection_facts": "the answer of the ledger that the person who calls has named",
    "counterfoil.client.wire:Wire.__init__": "the address that the program has stated",
    "counterfoil.client.alerts:Alerts.unannounced": "a number in the answer of the ledger that the program has named",
    "counterfoil.uses.credentials_file:read": "a file that we wrote",
    "counterfoil.core.trust:ends_of": "claims that a trusted issuer signed and `checked` has read before",
    **{
        f"counterfoil_api.dialects.canvus.streams:{name}": "an event that was sealed in our log"
        for name in ("Subscription._created", "_name_in")
    },
    "counterfoil_api.dialects.logins:_seconds": "what is left of a token, by the database's time",
    "counterfoil_api.dialects.cloudflare.documents:with_secret": "a document that we made",
    "counterfoil_api.dialects.cloudflare.updates:_offset": "digits in a token's metadata, or it counts as none",
    "counterfoil_api.http.addresses:Proxies.__init__": "TRUSTED_PROXIES, which the settings have read before",
    "counterfoil.uses.egress:_max_age": "up to nine digits, as the expression before it has found them",
    "counterfoil_api.handling.reading:Reading.after": "the place in a cursor, which we signed",
    "counterfoil_api.handling.writing:Writing.reply": _ANSWER,
    "counterfoil_api.handling.writing:Writing.recall": _ANSWER,
    "counterfoil_api.native.tokens.bulk:staged": _ANSWER,
    "counterfoil_api.native.tokens.exchange:exchange_token": "an id of ours",
    "counterfoil_api.native.tokens.issuing:_recalled": _ANSWER,
    "counterfoil.uses.bearers:_low": "a bearer that we have just signed",
    "counterfoil.uses.bearers:public_key": "a key that we published",
    "counterfoil_api.native.account.owner_quotas:_owner": "what `named_owner` and the core read",
    "counterfoil_api.native.subscriptions.references:_id": "what `is_id` has read before",
    "counterfoil.client.subscriptions:_id": "the id that the program has stated",
    "counterfoil_api.http.process:_loopback": "API_HOST and PUBLIC_URL",
    "counterfoil_api.http.process:in_the_clear": "PUBLIC_URL, which the settings have read before",
    "counterfoil_api.events.log_watch:LogWatch._notified": "what the sealer announces; digits, or it is ignored",
    "counterfoil_api.limits.counters:_numbers": "what our script in Valkey answers",
    "counterfoil_api.native.oauth.token_endpoint:_document": "an id of ours",
    "counterfoil_api.native.oauth.wellknown:mount": "PUBLIC_URL, which the settings have read before",
}
