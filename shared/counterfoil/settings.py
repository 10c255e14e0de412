"""Every knob of the running service: read from the environment once, checked before anything starts."""

import base64
import binascii
import ipaddress
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args
from urllib.parse import urlsplit

import msgspec

from counterfoil.duration import length
from counterfoil.refusals import BadDuration

LogFormat = Literal["console", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]
Command = Literal["api", "worker", "migrate", "account", "audit"]
"""The commands that are told something by the environment."""

_SECRET_FIELDS = frozenset(
    {"database_url", "migrate_database_url", "redis_url", "limits_redis_url", "peppers", "key_encryption_key"}
)


class BadSetting(Exception):  # noqa: N818 - a complaint, named like our refusals
    """A setting is missing or wrong; the message names the variable and what to do about it."""

    def __init__(self, name: str, what_to_do: str) -> None:
        super().__init__(f"{name}: {what_to_do}")
        self.name = name
        self.what_to_do = what_to_do


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What one process was told; secrets among it never show in its repr.

    What its command has no use for may be absent, and is empty then: an auditor is handed no pepper.
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
    sweep_interval_seconds: float
    database_pool_size: int
    max_body_bytes: int
    rate_limit: tuple[int, int] | None = None
    guess_limit: tuple[int, int] | None = None
    trusted_proxies: tuple[str, ...] = ()
    prometheus_multiproc_dir: str | None = None

    @classmethod
    def from_environment(cls, env: Mapping[str, str] = os.environ, *, command: Command) -> "Settings":
        """The settings of a process of this command, or `BadSetting` about the first variable that is wrong."""
        texts = {variable.name: env.get(variable.name, "").strip() for variable in VARIABLES}
        for variable in VARIABLES:
            texts[variable.name] = texts[variable.name] or variable.default.format_map(texts)
            if not texts[variable.name] and command in variable.needed_by:
                raise BadSetting(variable.name, f"is not set. Set it to {variable.says}.")
        told = {each.field: each.value_of(texts[each.name]) for each in VARIABLES if texts[each.name]}
        return msgspec.convert(told, cls)

    def __repr__(self) -> str:
        shown = (
            f"{name}={'…' if name in _SECRET_FIELDS else repr(getattr(self, name))}" for name in self.__struct_fields__
        )
        return f"Settings({', '.join(shown)})"


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable: how its text is read, and what the README says of it."""

    name: str
    field: str
    read: Callable[[str], object]
    default: str
    says: str
    needed_by: tuple[Command, ...] = ()

    def value_of(self, text: str) -> object:
        """What the text means, or `BadSetting`; the text itself may be a secret and is not repeated."""
        try:
            return self.read(text)
        except ValueError as complaint:
            raise BadSetting(self.name, f"{complaint}. Set it to {self.says}.") from None


def _url(*schemes: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if urlsplit(text).scheme not in schemes:
            raise ValueError(f"has to begin with {' or '.join(f'{s}://' for s in schemes)}")
        return text

    return read


def _public_url(text: str) -> str:
    parts = urlsplit(_url("http", "https")(text))
    if not parts.hostname or "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("has to be a plain address: scheme, host, perhaps a port and a path")
    return text.rstrip("/")


def _whole(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isascii() or not text.isdecimal() or not least <= int(text) <= most:
            raise ValueError(f"has to be a whole number from {least} to {most}")
        return int(text)

    return read


def _one_of(*choices: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text.lower() not in choices:
            raise ValueError(f"has to be one of {', '.join(choices)}")
        return text.lower()

    return read


def _key(text: str, *, least: int, most: int) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError("is not base64") from None
    if not least <= len(key) <= most:
        raise ValueError(f"holds {len(key)} bytes instead of {least}{'' if least == most else ' or more'}")
    return key


def _peppers(text: str) -> dict[int, bytes]:
    peppers: dict[int, bytes] = {}
    for part in text.split(","):
        number, colon, key = part.strip().partition(":")
        if not colon or not number.isdecimal() or not 1 <= int(number) <= 32_767:
            raise ValueError("has to be a list of number:base64, numbers from 1 to 32767")
        if int(number) in peppers:
            raise ValueError(f"names pepper {int(number)} twice")
        peppers[int(number)] = _key(key, least=32, most=1024)
    return peppers


def _encryption_key(text: str) -> bytes:
    return _key(text, least=32, most=32)


def _seconds(text: str) -> float:
    try:
        seconds = length(text).total_seconds()
    except BadDuration as complaint:
        raise ValueError(complaint.detail.rstrip(".")) from None
    if not seconds:
        raise ValueError("has to be longer than nothing")
    return seconds


def _whole_seconds(text: str) -> int:
    if not (seconds := int(_seconds(text))):
        raise ValueError("has to be at least a second long")
    return seconds


def _thresholds(text: str) -> tuple[int, ...]:
    return tuple(sorted({_whole_seconds(part.strip()) for part in text.split(",")}, reverse=True))


def _rate(text: str) -> tuple[int, int] | None:
    if text.lower() == "none":
        return None
    most, slash, span = text.partition("/")
    if not slash:
        raise ValueError("has to be a number, a slash and a duration")
    return _whole(1, 1_000_000_000)(most.strip()), _whole_seconds(span.strip())


def _proxies(text: str) -> tuple[str, ...]:
    named = dict.fromkeys(part.strip() for part in text.split(","))
    try:
        widest = min((ipaddress.ip_network(name).prefixlen for name in named.keys() - {"unix"}), default=1)
    except ValueError:
        raise ValueError("holds what is no network") from None
    if not widest:
        raise ValueError("believes everybody, so that anybody can claim any address")
    return tuple(named)


_POSTGRES = _url("postgresql", "postgres")
_REDIS = _url("redis", "rediss", "unix")
_ABSENT = ""

# Variable, field, reader, default, what to set it to, and which commands cannot do without.
# In the order in which they are read: a default may speak of variables above it.
VARIABLES = tuple(
    Variable(*row)
    for row in (
        ("DATABASE_URL", "database_url", _POSTGRES, _ABSENT,
         "the database as the application's role: postgresql://role:password@host/name",
         ("api", "worker", "migrate", "account", "audit")),
        ("MIGRATE_DATABASE_URL", "migrate_database_url", _POSTGRES, _ABSENT,
         "the same database as its owner: postgresql://role:password@host/name", ("migrate",)),
        ("REDIS_URL", "redis_url", _REDIS, _ABSENT,
         "a Redis or Valkey database of its own: redis://host/0, rediss://host/0 or unix://path", ("worker",)),
        ("LIMITS_REDIS_URL", "limits_redis_url", _REDIS, _ABSENT,
         "another database of it, in which API processes count limits together; without it each counts alone"),
        ("PEPPERS", "peppers", _peppers, _ABSENT,
         "`1:KEY`, or `1:KEY,2:KEY` …: base64 of 32 random bytes each; the highest hashes new secrets, all verify",
         ("api", "account")),
        ("KEY_ENCRYPTION_KEY", "key_encryption_key", _encryption_key, _ABSENT,
         "base64 of 32 random bytes; it encrypts the private signing keys at rest", ("api",)),
        ("API_HOST", "api_host", str, "127.0.0.1", "the address that the API listens on"),
        ("API_PORT", "api_port", _whole(0, 65_535), "8080", "the port that the API listens on"),
        ("API_PROCESSES", "api_processes", _whole(1, 256), "1", "how many processes serve the API"),
        ("PUBLIC_URL", "public_url", _public_url, "http://{API_HOST}:{API_PORT}",
         "the address by which clients reach the API; the issuer of bearers"),
        ("LOG_FORMAT", "log_format", _one_of(*get_args(LogFormat)), "console", "console or json"),
        ("LOG_LEVEL", "log_level", _one_of(*get_args(LogLevel)), "info", "debug, info, warning or error"),
        ("NOTICE_THRESHOLDS", "thresholds", _thresholds, "30d,7d,1d",
         "how long before an expiry it is announced: durations such as 30d,7d,1d"),
        ("BEARER_LIFETIME", "bearer_lifetime_seconds", _whole_seconds, "1h",
         "how long a bearer lives: a duration such as 1h"),
        ("SWEEP_INTERVAL", "sweep_interval_seconds", _seconds, "5s",
         "how often the worker looks for expiries: a duration such as 5s"),
        ("DATABASE_POOL_SIZE", "database_pool_size", _whole(2, 1000), "6",
         "how many reading connections one process may hold"),
        ("MAX_BODY_BYTES", "max_body_bytes", _whole(1024, 67_108_864), "65536",
         "the longest request body that is read, in bytes"),
        ("RATE_LIMIT", "rate_limit", _rate, "none",
         "how many requests each user and each token may make: such as 600/1m, or none"),
        ("GUESS_LIMIT", "guess_limit", _rate, "60/1m",
         "how many malformed, and how many unknown credentials are heard from one network: such as 60/1m, or none"),
        ("TRUSTED_PROXIES", "trusted_proxies", _proxies, _ABSENT,
         "the proxies whose X-Forwarded-For is believed: networks such as 10.0.0.0/8,fd00::/8, `unix` for a socket"),
        ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir", str, _ABSENT,
         "a directory in which several processes share their metrics"),
    )
)  # fmt: skip
