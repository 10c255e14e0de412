"""TLS, where no proxy stands before the API: what is spoken, and certificates that may be renewed under way."""

import ssl
from pathlib import Path
from typing import Final

import structlog

from counterfoil.settings import BadSetting, Settings

log = structlog.get_logger()

# With TLS 1.3 all suites are sound; of the older ones only those that keep past traffic secret and authenticate it.
_SUITES: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"

Stamp = tuple[tuple[int, int, int], ...]


def tls(settings: Settings) -> ssl.SSLContext | None:
    """What the API is served with, or None for plain HTTP; complains about files that cannot be used."""
    if settings.tls_certificate is None or settings.tls_private_key is None:
        return None
    try:
        return Pair(Path(settings.tls_certificate), Path(settings.tls_private_key)).context
    except OSError as error:  # an SSLError is one, too
        why = error.strerror or "they have to be a certificate and its private key, in PEM form, without a password"
        raise BadSetting("TLS_CERTIFICATE", f"or TLS_PRIVATE_KEY cannot be used ({why}).") from None


class Pair:
    """A certificate and its key in files that somebody else renews.

    Each handshake looks whether the files are the same as before, and takes what they hold now; so nobody has to signal
    a renewal, and no connection is lost by one. Files that do not fit together, as in the middle of a renewal, change
    nothing: the last good pair is shown until they do.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        self._files = (certificate, key)
        self._seen = self._look()
        self._current = self._load()
        self.context = self._load()
        self.context.sni_callback = self._greet

    def _greet(self, connection: ssl.SSLObject, _name: str | None, _: ssl.SSLContext) -> None:
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
        """What changes with the files; a file that is not there is a change, too."""
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
        # Without this OpenSSL would ask a terminal, and wait, for the password of a key that has one.
        context.load_cert_chain(certificate, key, password=b"")
        return context
