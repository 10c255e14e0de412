"""Parsers of foreign bytes in the ledger itself, its command line and its client."""

import json
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

import msgspec
import typer
from hypothesis import strategies as st

from counterfoil import logging
from counterfoil.cli import export_file, import_tokens, options, whoami
from counterfoil.client import expiry, failures, log, spelling, wire
from counterfoil.core import (
    bounds,
    codec,
    cursor,
    duration,
    emails,
    imported_secrets,
    moments,
    scopes,
    secret,
    text,
    trust,
    webhooks,
)
from counterfoil.core.destinations import DestinationRefused, destination_of
from counterfoil.core.opaque_ids import OpaqueIds
from counterfoil.core.password import checked_password
from counterfoil.core.principal import NIL
from counterfoil.core.refusals import (
    BadDuration,
    BadEmail,
    BadMetadata,
    BadNetwork,
    BadPassword,
    BadPolicy,
    BadRateLimit,
    BadScope,
    BadSecret,
    BadText,
    BadTrust,
    WeakSecret,
)
from counterfoil.core.subjects import account
from counterfoil.core.subjects.account import Policy
from counterfoil.settings import VARIABLES, BadSetting, Settings
from counterfoil.uses.audit.account_log import AccountLog
from fuzz.parser import ID, SECRET, Parser, oneof

DIRECTORY = TemporaryDirectory()
JWT = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"
IDS = OpaqueIds(b"k" * 32)
CURSORS = cursor.Cursors(b"k" * 32)
QUESTION = ["tokens", {"a": 1}]
"""What the cursors below are good for."""
KEY = "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE="
URLS = ("_refuse_bad_host", "_refuse_unknown", "redis_url", "split")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SETTINGS = {"DATABASE_URL": "postgresql://a@b/c", "PEPPERS": f"1:{KEY}", "KEY_ENCRYPTION_KEY": KEY}
NAMES = frozenset(variable.name for variable in VARIABLES)
READINGS = (
    *("account_id", "host", "url", "public_url", "whole", "key", "peppers", "whole_seconds", "proxies", "bearer"),
    *("destinations", "_refuse_bad_network", "_refuse_bad_destination"),
)
ENTRY = (
    f'{{"account":"{ID}","at":"2026-01-01T00:00:00Z","by":{{"id":"{ID}","kind":"token"}},"data":{{"reason":"x"}},'
    f'"prev":null,"private":null,"subject":{{"id":"{ID}","kind":"token"}},"type":"revoked","v":0,"version":1}}'
)
LINE = json.dumps({"position": 1, "entry": ENTRY, "private": {"text": "{}", "salt": KEY}})
PROBLEM = '{"type":"urn:counterfoil:problem:busy","title":"t","status":503,"detail":"d"}'
DURATIONS = st.lists(
    st.tuples(st.decimals(0, 1_000, places=2).map(str), st.sampled_from(("ns", "µs", "ms", "s", "m", "h", "d", "w"))),
    min_size=1, max_size=4,
).map(lambda parts: "".join(number + unit for number, unit in parts))  # fmt: skip
SCOPES = st.lists(st.sampled_from(("tokens", "a", "B_2", "read-all", "x" * 40)), min_size=1, max_size=5).map(".".join)


def _file(content: bytes) -> Path:
    file = Path(DIRECTORY.name, "file")
    file.write_bytes(content)
    return file


def _settings(pair: str) -> Settings:
    name, _, value = pair.partition("=")
    return Settings.from_environment({**SETTINGS, **({name: value} if name in NAMES else {})}, command="api")


CORE: dict[str, Parser] = {
    "counterfoil.core.duration:length": Parser(
        duration.length, DURATIONS, (BadDuration,), ("counterfoil.core.duration:seconds",), known=("1h",)
    ),
    "counterfoil.core.moments:read": Parser(
        moments.read,
        oneof("2026-03-01T12:00:00Z", "2026-03-01T12:00:00+02:00", "2026-03-01", "7d"),
        (ValueError,),
        ("counterfoil.core.moments:stated", "counterfoil.core.moments:zoneless"),
    ),
    "counterfoil.core.scopes:checked": Parser(
        lambda given: scopes.checked(given.split(" ")),
        st.lists(SCOPES).map(" ".join),
        (BadScope,),
        ("counterfoil.core.scopes:well_formed",),
        known=("a.",),
    ),
    "counterfoil.core.opaque_ids:OpaqueIds.number_of24": Parser(
        lambda given: IDS.number_of24("token", NIL, given), oneof(IDS.number24("token", NIL, 7), "0" * 24)
    ),
    "counterfoil.core.secret:recognised": Parser(
        secret.recognised, oneof(SECRET, "cfl_user_" + "a" * 49), known=("cfl_",)
    ),
    "counterfoil.core.secret:stands_in": Parser(secret.stands_in, oneof(f"see {SECRET}!", "cfl_")),
    "counterfoil.core.text:checked_name": Parser(text.checked_name, oneof("nightly-export", "a" * 255), (BadText,)),
    "counterfoil.core.text:checked_metadata": Parser(
        lambda given: text.checked_metadata(dict([given.partition("=")[::2]])),
        oneof("team=billing", "a/b:c=ü"),
        (BadMetadata, BadText),
    ),
    "counterfoil.core.text:escaped": Parser(text.escaped, oneof("a\x1b[2Jb", "a")),
    "counterfoil.logging:request_id": Parser(logging.request_id, oneof("build-4711-a", ID)),
    "counterfoil.logging:scrub": Parser(
        logging.scrub,
        oneof(f"https://a:b@c?token={SECRET}", f"Bearer {JWT}"),
        known=("bearer ", "https://", "eyJ", "?token=", "cfl_a_"),
    ),
    "counterfoil.core.emails:checked_email": Parser(
        emails.checked_email,
        oneof("a@b.example", "é@x.y", "a@xn--bcher-kva.example", "a@x\u200c\u3002y"),
        (BadEmail, BadText),
        (
            "counterfoil.core.emails:_invisible",
            "counterfoil.core.emails:_mapped",
            "counterfoil.core.emails:_mapped_domain",
        ),
    ),
    "counterfoil.core.password:checked_password": Parser(
        lambda given: checked_password(given, "a@b.example"), oneof("correct horse battery"), (BadPassword,)
    ),
    "counterfoil.core.imported_secrets:by_value": Parser(
        imported_secrets.by_value,
        oneof("ghp_16C7e42F292c6912E7710c838347Ae178B4a", SECRET),
        (BadSecret, WeakSecret),
        ("counterfoil.core.imported_secrets:could_be_imported",),
    ),
    "counterfoil.core.imported_secrets:by_digest": Parser(
        lambda given: imported_secrets.by_digest("sha256", given),
        oneof("9f" * 32, KEY),
        (BadSecret,),
        ("counterfoil.core.imported_secrets:_decoded",),
    ),
    "counterfoil.core.subjects.account:_canonical": Parser(
        lambda given: (canonical := account._canonical(tuple(given.split(",")))) and Policy(networks=canonical),
        oneof("192.0.2.0/24,2001:db8::/32", "10.0.0.1"),
        (BadPolicy,),
        ("counterfoil.core.subjects.account:_networks",),
    ),
    "counterfoil.core.bounds:checked_networks": Parser(
        lambda given: bounds.admits(bounds.checked_networks(tuple(given.split(","))), None),
        oneof("192.0.2.0/24,2001:db8::/32", "10.0.0.1"),
        (BadNetwork,),
        ("counterfoil.core.bounds:_parsed", "counterfoil.core.bounds:_canonical"),
    ),
    "counterfoil.core.trust:checked_trust": Parser(
        lambda given: trust.checked_trust(
            trust.Trust(issuer="https://gitlab.com", audience="us", claims={"project_path": (given,)})
        ),
        oneof("acme/*", r"acme/a\*"),
        (BadTrust,),
        (
            "counterfoil.core.trust:_refuse_condition",
            "counterfoil.core.glob:Glob.is_exact",
            "counterfoil.core.glob:Glob.literal",
        ),
    ),
    "counterfoil.core.bounds:rate": Parser(bounds.rate, oneof("600/1m", "1/1s"), (BadRateLimit,)),
    "counterfoil.core.cursor:Cursors.place": Parser(
        lambda given: CURSORS.place(UUID(ID), QUESTION, given),
        st.just(CURSORS.made(UUID(ID), QUESTION, ["a", 1, None])),
        (cursor.BadCursor,),
        known=("AAAA",),
    ),
    "counterfoil.core.codec:entry_of": Parser(
        codec.entry_of,
        st.just(ENTRY),
        (msgspec.DecodeError, UnicodeDecodeError),
        in_bytes=True,
        known=(ENTRY[: ENTRY.index("reason")], ENTRY[: ENTRY.index("x")]),
    ),
    "counterfoil.uses.audit.account_log:AccountLog.add": Parser(
        lambda given: list(AccountLog(UUID(ID)).add(given)), st.just(LINE), in_bytes=True, known=(LINE[:20],)
    ),
    "counterfoil.settings:Settings.from_environment": Parser(
        _settings,
        oneof(
            *("PUBLIC_URL=https://a.b/c", "API_PORT=80", "NOTICE_THRESHOLDS=30d,1d", f"PEPPERS=1:{KEY},2:{KEY}"),
            *("DATABASE_URL=postgresql://a@[::1]:5432/c?sslmode=require", "REDIS_URL=redis://a/0", "API_HOST=::1"),
            *("TRUSTED_PROXIES=10.0.0.0/8,unix", "RATE_LIMIT=1/1m", "METRICS_TOKEN=abcdefghijklmnop", "LOG_LEVEL=info"),
            "EGRESS_ALLOWED=a.b:8443,[::1],10.0.0.0/8",
        ),
        (BadSetting,),
        (
            *(f"counterfoil.setting_parsers:{name}" for name in READINGS),
            *(f"counterfoil.server_urls:{name}" for name in URLS),
            "counterfoil.settings:Variable.value_of",
        ),
        known=("PEPPERS=1:", "TRUSTED_PROXIES=", "NOTICE_THRESHOLDS=", "API_PORT=", "PUBLIC_URL=http://"),
    ),
    "counterfoil.core.destinations:destination_of": Parser(
        destination_of,
        oneof("https://idp.example.org:8443/a?b=c", "https://[::1]/", "https://192.0.2.1", "https://a_b.example"),
        (DestinationRefused,),
        ("counterfoil.core.destinations:_address_in", "counterfoil.core.destinations:webhook_destination_of"),
        known=("https://", "https://[", "https://127."),
    ),
    "counterfoil.core.webhooks:retry_after_seconds": Parser(
        lambda text: webhooks.retry_after_seconds(text, NOON),
        oneof("120", "Wed, 21 Oct 2026 07:28:00 GMT"),
        (),
        known=("0", "Wed, 21 Oct", "Wed, 21 Oct 2026 07:28:00 +"),
    ),
    "counterfoil.core.webhooks:secret_bytes": Parser(
        webhooks.secret_bytes, oneof("whsec_YWFh"), (ValueError,), known=("whsec_",)
    ),
    "counterfoil.cli.options:moment_or_version": Parser(
        options.moment_or_version,
        oneof("2026-03-01T12:00:00Z", "17"),
        (typer.BadParameter,),
        ("counterfoil.cli.options:moment",),
    ),
    "counterfoil.cli.options:stated_owner": Parser(
        options.stated_owner,
        oneof("service:backup", "user:2"),
        (typer.BadParameter,),
        ("counterfoil.cli.options:owner",),
    ),
    "counterfoil.cli.options:number": Parser(
        options.number, oneof("1", "50"), (typer.BadParameter,), ("counterfoil.cli.options:stated_number",)
    ),
    "counterfoil.cli.options:whole": Parser(options.whole, oneof("1", "50"), (typer.BadParameter,)),
    "counterfoil.cli.whoami:_claims": Parser(whoami._claims, oneof(JWT, SECRET), known=("eyJ", "a.", "a.e30")),
    "counterfoil.client.expiry:expiry_in": Parser(
        lambda given: expiry.expiry_in(
            {"Token-Expires-At": given, "Token-Number": given, "Token-Sunset": given, "Token-Replaced": given}
        ),
        oneof("2026-12-01T10:00:00Z", "7", "true"),
        known=("2026-", "2026-02-31T"),
    ),
    "counterfoil.client.failures:refused": Parser(
        lambda given: str(failures.refused(503, given, None)), st.just(PROBLEM), in_bytes=True, known=('{"type":',)
    ),
    "counterfoil.cli.export_file:_position": Parser(
        lambda given: export_file._position(Path("log"), "ndjson" if given.startswith(b"{") else "csv", given),
        st.sampled_from(("17,a,b", LINE)),
        (typer.Exit,),
        in_bytes=True,
        known=('{"position":', '17,"'),
    ),
    "counterfoil.cli.import_tokens:_ndjson": Parser(
        lambda given: list(import_tokens._ndjson(_file(given))),
        oneof('{"name":"a"}\n\n{"name":"b"}\n', "[]"),
        (UnicodeDecodeError,),
        in_bytes=True,
        known=('{"a":',),
    ),
    "counterfoil.cli.import_tokens:_csv": Parser(
        lambda given: list(import_tokens._csv(_file(given))),
        oneof("name,secret,scopes\na,b,c d\n", 'name,metadata.team\n"a, b",c\n'),
        (UnicodeDecodeError,),
        in_bytes=True,
        known=("name,secret\na,", 'name\n"'),
    ),
    "counterfoil.client.log:read": Parser(
        log.read,
        st.sampled_from((LINE, '{"position":17}', '{"end":"credential-ended"}')),
        (failures.Unintelligible,),
        in_bytes=True,
        known=('{"position":', '{"position":1,"entry":"', LINE[: LINE.index("reason")]),
    ),
    "counterfoil.client.log:PrivatePart.fields": Parser(
        lambda given: log.PrivatePart(given, b"").fields,
        oneof('{"name":"a"}', "{}"),
        (failures.Unintelligible, UnicodeEncodeError),  # text from the wire has no lone surrogates
        known=('{"name":"',),
    ),
    "counterfoil.client.log:head": Parser(log.head, oneof("0", "17"), (failures.Unintelligible,)),
    "counterfoil.client.spelling:read": Parser(
        lambda given: spelling.page(wire.Answer(200, given, {}), dict),
        oneof('{"items":[{"a":1}],"next_cursor":null}', '{"items":[],"next_cursor":"a"}'),
        (failures.Unintelligible,),
        ("counterfoil.client.spelling:page",),
        in_bytes=True,
        known=('{"items":[', '{"items":[{"a":'),
    ),
    "counterfoil.client.spelling:bulk_revocation_id": Parser(spelling.bulk_revocation_id, oneof(ID), (ValueError,)),
    "counterfoil.client.spelling:path_of": Parser(spelling.path_of, oneof(ID, "5", "self"), (ValueError,)),
    "counterfoil.client.wire:Answer.pause_seconds": Parser(
        lambda given: wire.Answer(503, b"", {"Retry-After": given}).pause_seconds,
        oneof("1", "Wed, 21 Oct 2026 07:28:00 GMT"),
    ),
}
