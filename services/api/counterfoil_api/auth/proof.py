"""What a proxy's client shows for itself: one Authorization header, or one pair of headers with an id and a secret."""

import re
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from multidict import CIMultiDictProxy

from counterfoil.core.credentials import BearerGiven, SecretGiven, client_secret
from counterfoil.core.refusals import CredentialsRefused
from counterfoil_api.auth.credentials import PasswordGiven, credentials_of

Proof = SecretGiven | BearerGiven

PairNames = tuple[str, str]
"""Names of headers under which a client id and its secret travel."""

OWN: Final[PairNames] = ("X-Client-Id", "X-Client-Secret")
"""Our own; dialects have others (see `dialects.register`)."""

# A token's id, with or without its dashes, and perhaps a decoration behind it, `.` and a word.
_CLIENT_ID = re.compile(r"([0-9a-fA-F]{32}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})(?:\.[a-z]{1,32})?")


def proof_of(headers: CIMultiDictProxy[str], pairs: tuple[PairNames, ...] = (OWN,)) -> Proof:
    """The one proof that a request carries, perhaps under one of these pairs of names; two are as bad as none."""
    paired = [each for each in pairs if any(name in headers for name in each)]
    if len(paired) + len(headers.getall("Authorization", ())) > 1:
        raise CredentialsRefused("Send one set of credentials, not several.")
    if paired:
        return pair(*(headers.getall(name, ()) for name in paired[0]))
    shown = credentials_of(headers)
    # Slow on purpose, and people's: neither is for every request of a program.
    if isinstance(shown, PasswordGiven):
        raise CredentialsRefused("Passwords are not accepted here; send a token's secret or a bearer token.")
    return shown


def pair(ids: Sequence[str], secrets: Sequence[str]) -> SecretGiven:
    """The token and its secret that a client id and a client secret name. Raises CredentialsRefused."""
    if len(ids) != 1 or len(secrets) != 1:
        raise CredentialsRefused("Send a client id together with its client secret, each once.")
    named = _CLIENT_ID.fullmatch(ids[0])
    if named is None:
        raise CredentialsRefused
    return client_secret(str(UUID(named[1])), secrets[0])
