"""The settings of the service: read from the environment once, and checked before anything starts."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args
from uuid import UUID

import msgspec

from counterfoil.server_urls import postgres_url, redis_url
from counterfoil.setting_parsers import (
    account_id,
    bearer,
    destinations,
    encryption_key,
    host,
    one_of,
    peppers,
    proxies,
    public_url,
    rate,
    rotation,
    seconds,
    some_of,
    thresholds,
    whole,
    whole_seconds,
)

LogFormat = Literal["console", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]
Command = Literal["api", "worker", "migrate", "account", "audit", "keys", "pepper", "followers", "sealer"]
"""The commands that have settings."""

DIALECT_NAMES = ("scalingo", "cloudflare", "canvus", "virtuozzo", "losant")
"""The vendors' APIs that the service implements, by the first part of their paths."""
_SECRET_FIELDS = frozenset({
    "database_url", "migrate_database_url", "redis_url", "limits_redis_url", "peppers", "key_encryption_key",
    "metrics_token",
})  # fmt: skip


_FORM = re.compile(r"such as|[`,:] ?\w+.* or ")
_SHOWN = 80
"""The most characters of a wrong value that a message shows."""


class BadSetting(Exception):  # noqa: N818 - named like the refusals
    """A setting is missing or wrong; the message says what is wrong, and then what to do."""

    def __init__(self, name: str, what_to_do: str) -> None:
        super().__init__(f"{name} {what_to_do}")
        self.name = name
        self.what_to_do = what_to_do


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of one process; its repr shows no secret.

    A setting that its command does not need may be absent and is empty then: `audit` needs no pepper.
    """

    database_url: str = ""
    migrate_database_url: str = ""
    redis_url: str = ""
    limits_redis_url: str = ""
    peppers: dict[int, bytes] = {}
    key_encryption_key: bytes = b""
    public_url: str
    api_host: str
    api_port: int
    api_processes: int
    log_format: LogFormat
    log_level: LogLevel
    thresholds: tuple[int, ...]
    bearer_lifetime_seconds: int
    grace_notice_seconds: int
    signing_key_rotation_seconds: int | None = None
    sweep_interval_seconds: float
    database_pool_size: int
    max_body_bytes: int
    rate_limit: tuple[int, int] | None = None
    default_account: UUID | None = None
    operator_account: UUID | None = None
    guess_limit: tuple[int, int] | None = None
    leak_report_limit: tuple[int, int] | None = None
    trusted_proxies: tuple[str, ...] = ()
    tls_certificate: str | None = None
    tls_private_key: str | None = None
    metrics_token: str | None = None
    request_timeout_seconds: float = 30.0
    max_connections: int = 1_000
    streams_per_account: int = 100
    dialects: tuple[str, ...] = DIALECT_NAMES
    virtuozzo_upstream: str | None = None
    egress_allowed: tuple[str, ...] = ()
    egress_ca_file: str | None = None
    subscriptions_per_account: int = 20
    prometheus_multiproc_dir: str | None = None

    @classmethod
    def from_environment(cls, env: Mapping[str, str] = os.environ, *, command: Command) -> "Settings":
        """Return the settings of a process of this command. Raises BadSetting for the first wrong variable."""
        texts = {variable.name: env.get(variable.name, "").strip() for variable in VARIABLES}
        for variable in VARIABLES:
            texts[variable.name] = texts[variable.name] or variable.default.format_map(_in_urls(texts))
            if not texts[variable.name] and command in variable.needed_by:
                what = f"is not set, and `counterfoil {command}` needs it. Set it to {variable.says}."
                raise BadSetting(variable.name, what)
        _agree(texts)
        values = {each.field: each.value_of(texts[each.name]) for each in VARIABLES if texts[each.name]}
        return msgspec.convert(values, cls)

    def __repr__(self) -> str:
        shown = (
            f"{name}={'…' if name in _SECRET_FIELDS else repr(getattr(self, name))}" for name in self.__struct_fields__
        )
        return f"Settings({', '.join(shown)})"


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable: its parser, its default and its description."""

    name: str
    field: str
    read: Callable[[str], object]
    default: str
    says: str
    needed_by: tuple[Command, ...] = ()

    @property
    def secret(self) -> bool:
        """Whether its value is a secret."""
        return self.field in _SECRET_FIELDS

    def value_of(self, text: str) -> object:
        """Return the parsed text. Raises BadSetting, whose message has the text unless that may contain a secret."""
        try:
            return self.read(text)
        except ValueError as error:
            found = "" if self.secret or "@" in text else f"; it is {text[:_SHOWN]!r}"
            # A description without an example gets the default as one.
            such = "" if _FORM.search(self.says) or not self.default else f", such as {self.default}"
            raise BadSetting(self.name, f"{error}{found}. Set it to {self.says}{such}.") from None


def _in_urls(texts: Mapping[str, str]) -> Mapping[str, str]:
    """Return the same texts with the host in the form of a URL: an IPv6 address has brackets there."""
    try:
        found = host(texts["API_HOST"])
    except ValueError:
        return texts  # the parser of this variable reports it
    return {**texts, "API_HOST": f"[{found}]" if ":" in found else found}


def _agree(texts: Mapping[str, str]) -> None:
    """Refuse settings that contradict each other."""
    for one, other in (("TLS_CERTIFICATE", "TLS_PRIVATE_KEY"), ("TLS_PRIVATE_KEY", "TLS_CERTIFICATE")):
        if texts[one] and not texts[other]:
            raise BadSetting(other, f"is not set, and {one} is. Set both, or neither.")
    if texts["TLS_CERTIFICATE"] and not texts["PUBLIC_URL"].startswith("https:"):
        what = "has to begin with https://, because TLS_CERTIFICATE is set and the API then serves https alone"
        raise BadSetting("PUBLIC_URL", f"{what}. Set it to an address such as https://tokens.example.org.")


_ABSENT = ""

# Variable, field, reader, default, its description, and the commands that require it.
# They are read in this order: a default may name variables above it.
VARIABLES = tuple(
    Variable(*row)
    for row in (
        ("DATABASE_URL", "database_url", postgres_url, _ABSENT,
         "the database as the application's role: postgresql://role:password@host/name",
         ("api", "worker", "migrate", "account", "audit", "keys", "pepper", "followers", "sealer")),
        ("MIGRATE_DATABASE_URL", "migrate_database_url", postgres_url, _ABSENT,
         "the same database as its owner: postgresql://role:password@host/name", ("migrate",)),
        ("REDIS_URL", "redis_url", redis_url, _ABSENT,
         "a Redis or Valkey database of its own: redis://host/0, rediss://host/0 or unix://path", ("worker",)),
        ("LIMITS_REDIS_URL", "limits_redis_url", redis_url, _ABSENT,
         "another of its databases, such as redis://host/1, where API processes count together; without it each alone"),
        ("PEPPERS", "peppers", peppers, _ABSENT,
         "`1:KEY`, or `1:KEY,2:KEY` …, each KEY made by `openssl rand -base64 32`; all verify, the activated one signs",
         ("api", "account", "pepper")),
        ("KEY_ENCRYPTION_KEY", "key_encryption_key", encryption_key, _ABSENT,
         "what `openssl rand -base64 32` prints; it encrypts signing keys and webhook secrets at rest",
         ("api", "worker", "keys")),
        ("API_HOST", "api_host", host, "127.0.0.1", "the address that the API listens on; 0.0.0.0 or :: for all"),
        ("API_PORT", "api_port", whole(0, 65_535), "8080", "the port that the API listens on"),
        ("API_PROCESSES", "api_processes", whole(1, 256), "1", "how many processes serve the API"),
        ("PUBLIC_URL", "public_url", public_url, "http://{API_HOST}:{API_PORT}",
         "the address by which clients reach the API, such as https://tokens.example.org; the issuer of bearers"),
        ("DEFAULT_ACCOUNT", "default_account", account_id, _ABSENT,
         "the account of logins that name none, such as 01a20070-8de1-7662-8ce2-f3250b57a6ef; without it, the first"),
        ("OPERATOR_ACCOUNT", "operator_account", account_id, _ABSENT,
         "the account whose auditors may read the log of all accounts, such as 01a20070-8de1-7662-8ce2-f3250b57a6ef"),
        ("LOG_FORMAT", "log_format", one_of(*get_args(LogFormat)), "console", "the form of log lines: console or json"),
        ("LOG_LEVEL", "log_level", one_of(*get_args(LogLevel)), "info",
         "the least urgent lines that are logged: debug, info, warning or error"),
        ("NOTICE_THRESHOLDS", "thresholds", thresholds, "30d,7d,1d",
         "how long before an expiry it is announced: durations separated by commas"),
        ("GRACE_NOTICE", "grace_notice_seconds", whole_seconds, "1d",
         "how long before its end a rotation's grace is announced, if the previous secret is still in use: a duration"),
        ("BEARER_LIFETIME", "bearer_lifetime_seconds", whole_seconds, "1h",
         "how long a bearer lives: a duration"),
        ("SIGNING_KEY_ROTATION", "signing_key_rotation_seconds", rotation, "none",
         "how long a signing key signs before the next one replaces it: a duration such as 90d, or none"),
        ("SWEEP_INTERVAL", "sweep_interval_seconds", seconds, "5s",
         "how often the worker looks for expiries: a duration"),
        ("DATABASE_POOL_SIZE", "database_pool_size", whole(2, 1000), "6",
         "how many reading connections one process may hold"),
        ("TLS_CERTIFICATE", "tls_certificate", str, _ABSENT,
         "a PEM file, such as /run/tls/tls.crt, with the API's certificate and those above it; renew it in place"),
        ("TLS_PRIVATE_KEY", "tls_private_key", str, _ABSENT,
         "a PEM file with the private key of TLS_CERTIFICATE, such as /run/tls/tls.key"),
        ("REQUEST_TIMEOUT", "request_timeout_seconds", seconds, "30s",
         "how long a request may take once it has arrived: a duration"),
        ("MAX_CONNECTIONS", "max_connections", whole(10, 1_000_000), "1000",
         "how many connections each process of the API keeps open; beyond that it closes the longest idle one"),
        ("STREAMS_PER_ACCOUNT", "streams_per_account", whole(1, 1_000_000), "100",
         "how many live streams of the log each process of the API keeps open for one account"),
        ("DIALECTS", "dialects", some_of(*DIALECT_NAMES), "all",
         "which vendors' APIs are spoken: all, none, or names such as scalingo,losant"),
        ("VIRTUOZZO_UPSTREAM", "virtuozzo_upstream", public_url, _ABSENT,
         "where calls of the Virtuozzo API go once their token is checked, such as https://app.jelastic.example"),
        ("EGRESS_ALLOWED", "egress_allowed", destinations, _ABSENT,
         "what may be called beside public hosts at port 443: as in gitlab.lan:8443,10.1.2.0/24,http://hooks.lan:8080"),
        ("EGRESS_CA_FILE", "egress_ca_file", str, _ABSENT,
         "a PEM file, such as /run/tls/ca.crt, with authorities to trust beside the system's when the service calls"),
        ("SUBSCRIPTIONS_PER_ACCOUNT", "subscriptions_per_account", whole(0, 10_000), "20",
         "how many subscriptions an account may have: a number; 0 switches webhooks off"),
        ("METRICS_TOKEN", "metrics_token", bearer, _ABSENT,
         "the bearer token of 16 characters or more that /metrics requires; without it everybody may read /metrics"),
        ("MAX_BODY_BYTES", "max_body_bytes", whole(1024, 67_108_864), "65536",
         "the longest request body that is read, in bytes"),
        ("RATE_LIMIT", "rate_limit", rate, "none",
         "how many requests each user and each token may make: such as 600/1m, or none"),
        ("GUESS_LIMIT", "guess_limit", rate, "60/1m",
         "how many malformed, and how many unknown credentials one network may send: such as 60/1m, or none"),
        ("LEAK_REPORT_LIMIT", "leak_report_limit", rate, "60/1h",
         "how many reports of leaked secrets one network may send: such as 60/1h, or none"),
        ("TRUSTED_PROXIES", "trusted_proxies", proxies, _ABSENT,
         "the proxies whose X-Forwarded-For is trusted: networks such as 10.0.0.0/8,fd00::/8, `unix` for a socket"),
        ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir", str, _ABSENT,
         "an empty directory in which several processes share their metrics, such as /run/metrics"),
    )
)  # fmt: skip
