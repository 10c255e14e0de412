"""Parsers of the addresses of Postgres and Redis: they refuse addresses on which a driver would fail later."""

import re
from typing import Final
from urllib.parse import SplitResult, parse_qsl, urlsplit

_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+(%\w+)?\]|[^:\[\]]*)(:\d{1,5})?")
_POSTGRES: Final = frozenset({
    "host", "port", "user", "password", "passfile", "dbname", "database", "service", "sslmode", "sslcert", "sslkey",
    "sslrootcert", "sslcrl", "sslpassword", "sslnegotiation", "ssl_min_protocol_version", "ssl_max_protocol_version",
    "target_session_attrs", "krbsrvname", "gsslib",
})  # fmt: skip
"""The connection parameters that asyncpg knows; it would send any other as a setting of the session."""
_REDIS: Final = frozenset({
    "db", "username", "password", "client_name", "protocol", "health_check_interval", "max_connections",
    "socket_timeout", "socket_connect_timeout", "socket_keepalive", "retry_on_timeout", "ssl_ca_certs", "ssl_ca_path",
    "ssl_cert_reqs", "ssl_certfile", "ssl_keyfile", "ssl_password", "ssl_check_hostname", "ssl_ciphers",
    "ssl_min_version",
})  # fmt: skip
_CHOICES: Final = {
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "target_session_attrs": ("any", "primary", "standby", "read-write", "read-only", "prefer-standby"),
    "ssl_cert_reqs": ("none", "optional", "required"),
}
_NUMBERS: Final = frozenset({"db", "protocol", "max_connections", "health_check_interval"})


def split(text: str, *schemes: str) -> SplitResult:
    """Return the parts of an address with one of these schemes."""
    try:
        parts = urlsplit(text)
    except ValueError:
        raise ValueError("holds square brackets that are not around an IPv6 address") from None
    if parts.scheme not in schemes or not text.startswith(f"{parts.scheme}://"):
        raise ValueError(f"has to begin with {' or '.join(f'{s}://' for s in schemes)}")
    return parts


def postgres_url(text: str) -> str:
    """An address of Postgres, perhaps with parameters of the connection."""
    parts = split(text, "postgresql", "postgres")
    _refuse_unescaped(parts)
    for host in parts.netloc.rpartition("@")[2].split(","):
        _refuse_bad_host(host)
    _refuse_unknown(parts.query, _POSTGRES)
    return text


def redis_url(text: str) -> str:
    """An address of Redis or Valkey, perhaps with parameters of the connection."""
    parts = split(text, "redis", "rediss", "unix")
    _refuse_unescaped(parts)
    if parts.scheme != "unix":
        _refuse_bad_host(parts.netloc.rpartition("@")[2])
        if not re.fullmatch(r"(/\d*)?", parts.path):
            raise ValueError("has to end with the number of a database, such as /0")
    _refuse_unknown(parts.query, _REDIS)
    return text


def _refuse_unescaped(parts: SplitResult) -> None:
    """Refuse an unescaped / or ? in a password, which would begin the path or the query."""
    if "@" in parts.path + parts.query or parts.fragment:
        raise ValueError("holds a character in its password that has to be written as %2F (/), %3F (?) or %23 (#)")


def _refuse_bad_host(host: str) -> None:
    if not _HOST.fullmatch(host):
        raise ValueError("has to name its host and port as host:5432, or [::1]:5432")


def _refuse_unknown(query: str, known: frozenset[str]) -> None:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True) if query else []
    except ValueError:
        raise ValueError("has to end with parameters such as ?name=value&name=value, or with none") from None
    for name, value in pairs:
        if name not in known:
            raise ValueError(f"has the parameter {name!r}, which a connection does not have; leave it out")
        if value not in _CHOICES.get(name, (value,)):
            raise ValueError(f"has the parameter {name}, which has to be one of {', '.join(_CHOICES[name])}")
        if name in _NUMBERS and not (value.isascii() and value.isdecimal()):
            raise ValueError(f"has the parameter {name}, which has to be a whole number")
