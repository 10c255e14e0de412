"""The process at its start: the number of files that it may open, and whether secrets travel unencrypted."""

import ipaddress
import resource
from typing import Final
from urllib.parse import urlsplit

import structlog

from counterfoil.settings import Settings

log = structlog.get_logger()

_OTHER_FILES: Final = 256
"""Files other than callers' connections: database connections, the log, modules."""


def raise_file_limit(connections: int) -> None:
    """Raise the system's limit of open files to the number of connections in the settings, as far as allowed."""
    wanted = connections + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    if most < wanted:
        log.warning("few_open_files", limit=most, what_to_do="raise `ulimit -n`, or lower MAX_CONNECTIONS")


def in_the_clear(settings: Settings) -> bool:
    """Return whether callers on other machines send their secrets unencrypted."""
    public = urlsplit(settings.public_url)
    return public.scheme == "http" and not (_loopback(settings.api_host) or _loopback(public.hostname or ""))


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
