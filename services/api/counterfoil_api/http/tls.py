"""TLS without a proxy in front: versions and suites, and certificates that are renewed while the API runs."""

import ssl
from pathlib import Path
from typing import Final

import structlog

from counterfoil.settings import BadSetting, Settings

log = structlog.get_logger()

# All suites of TLS 1.3 are sound; of the older ones, these have forward secrecy and authenticate the traffic.
_SUITES: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"

Stamp = tuple[tuple[int, int, int], ...]


def tls(settings: Settings) -> ssl.SSLContext | None:
    """Return the TLS context, None for plain HTTP; raises BadSetting for files that cannot be used."""
    if settings.tls_certificate is None or settings.tls_private_key is None:
        return None
    try:
        return Pair(Path(settings.tls_certificate), Path(settings.tls_private_key)).context
    except OSError as error:  # an SSLError is one, too
        why = error.strerror or "they have to be a certificate and its private key, in PEM form, without a password"
        raise BadSetting("TLS_CERTIFICATE", f"or TLS_PRIVATE_KEY cannot be used ({why}).") from None


class Pair:
    """A certificate and its key in files that another program renews.

    Each handshake checks whether the files have changed, and loads them if so: a renewal needs no signal and loses no
    connection. If the files do not match, as in the middle of a renewal, the last good pair is used until they do.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        self._files = (certificate, key)
        self._seen = self._look()
        self._current = self._load()
        self.context = self._load()
        self.context.sni_callback = self._choose_context

    def _choose_context(self, connection: ssl.SSLObject, _name: str | None, _: ssl.SSLContext) -> None:
        seen = self._look()
        if seen != self._seen:
            self._seen = seen
            self._renew()
        connection.context = self._current

    def _renew(self) -> None:
        try:
            self._current = self._load()
        except OSError as error:
            log.warning("certificate_unusable", error=type(error).__name__)
        else:
            log.info("certificate_renewed")

    def _look(self) -> Stamp:
        """Return what changes with the files; a missing file is a change as well."""
        try:
            found = [file.stat() for file in self._files]
        except OSError:
            return ()
        return tuple((file.st_mtime_ns, file.st_size, file.st_ino) for file in found)

    def _load(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(_SUITES)
        context.set_alpn_protocols(["http/1.1"])
        certificate, key = self._files
        # If no password is given, OpenSSL prompts for that of an encrypted key on the terminal, and waits.
        context.load_cert_chain(certificate, key, password=b"")
        return context
