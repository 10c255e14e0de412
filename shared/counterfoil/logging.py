"""Log lines of the service: one line an event, with facts as keys and without secrets."""

import logging
import re
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from types import TracebackType
from typing import Final, TextIO
from uuid import UUID, uuid4

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from counterfoil.core.text import escaped
from counterfoil.settings import LogFormat, LogLevel

REDACTED: Final = "[redacted]"

# The end of a key decides: `token_id` and `secret_hint` are logged, values of `admin_token` and `newSecret` are not.
_SECRET_ENDINGS: Final = (
    *("authorization", "bearer", "cookie", "credentials", "dsn", "jwt", "passphrase", "password"),
    *("pepper", "peppers", "secret", "token", "otp", "api_key", "encryption_key", "idempotency_key", "private_key"),
)
_SECRET_TEXTS: Final = (
    # The patterns match whole runs of characters, so that text that only resembles a secret hides none inside it. The
    # first and the third search a run once: a search from each position of a long run would take minutes, and callers
    # can cause long log lines.
    (re.compile(r"(?<![\w-])(?:(?!eyJ)[\w-])*+eyJ[\w-]{8,}+\.[\w-]++(?:\.[\w-]*+)+"), REDACTED),
    (re.compile(r"cfl_[a-z]+_\w{43,}"), REDACTED),
    (re.compile(r"(?<![a-z0-9+.-])([a-z0-9+.-]+://)[^\s/?#@\"']+@", re.IGNORECASE), rf"\1{REDACTED}@"),
    (re.compile(r"\b(bearer|basic)\s+[\w.~+/=-]{8,}", re.IGNORECASE), rf"\1 {REDACTED}"),
    (
        re.compile(r"([?&][\w.-]*(?:token|session|secret|password|key|otp)=)[^&\s#\"']+", re.IGNORECASE),
        rf"\1{REDACTED}",
    ),
)

# Every match of the patterns above contains one of these. Few lines do, so the check saves most searches.
_SECRET_MARKS: Final = ("cfl_", "eyj", "://", "bearer", "basic", "?", "&")

_OF_MANY_LINES: Final = frozenset({"exception", "stack"})

_CLIENTS_REQUEST_ID: Final = re.compile(r"[0-9A-Za-z._-]{8,64}")


def configure(log_format: LogFormat, level: LogLevel, *, stream: TextIO = sys.stderr) -> None:
    """Send log lines of the service and of libraries, and crashes, through one chain to one stream."""
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
    ]
    ending: list[Processor] = [structlog.processors.format_exc_info, redact, _scrubbing(_renderer(log_format, stream))]
    structlog.configure(
        processors=[*shared, *ending],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ending],
        )
    )
    logging.basicConfig(handlers=[handler], level=number, force=True)
    logging.captureWarnings(capture=True)
    sys.excepthook = _crashed


def about(**facts: object) -> AbstractContextManager[None]:
    """Add these facts to every line that is logged inside, in this task and in tasks that it starts."""
    return structlog.contextvars.bound_contextvars(**facts)


def request_id(given: str | None) -> str:
    """Return the id of a request: the one that the client sent if it is harmless, else a new one."""
    if given is not None and _CLIENTS_REQUEST_ID.fullmatch(given):
        return scrub(given)
    return uuid4().hex


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace the values of keys that name a secret, at any depth."""
    return {key: _redacted(str(key), value) for key, value in event.items()}


def scrub(text: str) -> str:
    """Replace text that looks like a secret: tokens, JWTs, credentials in URLs and in headers."""
    lower = text.lower()
    if not any(mark in lower for mark in _SECRET_MARKS):
        return text
    for pattern, instead in _SECRET_TEXTS:
        text = pattern.sub(instead, text)
    return text


def _redacted(key: str, value: object) -> object:
    if value is not None and key.lower().replace("-", "_").endswith(_SECRET_ENDINGS):
        return REDACTED
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return "\n".join(map(escaped, value.split("\n"))) if key in _OF_MANY_LINES else escaped(value)
        case Mapping():
            return {str(inner): _redacted(str(inner), each) for inner, each in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_redacted("", each) for each in value]
        case bytes() | bytearray() | memoryview():
            return f"<{len(value)} bytes>"
    # `repr` respects an object that hides its fields; an encoder would read them.
    return str(value) if isinstance(value, UUID | datetime) else repr(value)


def _renderer(log_format: LogFormat, stream: TextIO) -> Processor:
    if log_format == "json":
        return structlog.processors.JSONRenderer(serializer=_json)
    # A plain traceback: the pretty ones print local variables, and secrets among them.
    return structlog.dev.ConsoleRenderer(
        colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback, timestamp_key="at"
    )


def _json(event: EventDict, **_: object) -> str:
    return msgspec.json.encode(event).decode()


def _scrubbing(render: Processor) -> Processor:
    """Scrub the finished line, which contains every value, exception and message of a library."""

    def rendered(logger: WrappedLogger, method: str, event: EventDict) -> str:
        return scrub(str(render(logger, method, event)))

    return rendered


def _crashed(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    structlog.get_logger().critical("crashed", exc_info=(kind, error, trace))
