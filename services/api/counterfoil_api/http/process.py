"""What the process finds around it when it starts: how many files it may open, and who could listen in."""

import ipaddress
import resource
from typing import Final
from urllib.parse import urlsplit

import structlog

from counterfoil.settings import Settings

log = structlog.get_logger()

_OTHER_FILES: Final = 256
"""Beside the callers' connections: those to the database, the log, the modules' own."""


def make_room(connections: int) -> None:
    """Have the system let this process open as many connections as it was told to, if it can be had."""
    wanted = connections + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    if most < wanted:
        log.warning("few_open_files", limit=most, what_to_do="raise `ulimit -n`, or lower MAX_CONNECTIONS")


def in_the_clear(settings: Settings) -> bool:
    """Whether callers on other machines would send their secrets for everybody on the way to read."""
    public = urlsplit(settings.public_url)
    return public.scheme == "http" and not (_loopback(settings.api_host) or _loopback(public.hostname or ""))


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
