"""Credentials of a proxy's client: one Authorization header, or one pair of headers with an id and a secret."""

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
"""The names of the two headers that hold a client id and its secret."""

OWN: Final[PairNames] = ("X-Client-Id", "X-Client-Secret")
"""Our own names; dialects have others (see `dialects.register`)."""

# A token's id, with or without its dashes, perhaps followed by `.` and a word.
_CLIENT_ID = re.compile(r"([0-9a-fA-F]{32}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})(?:\.[a-z]{1,32})?")


def proof_of(headers: CIMultiDictProxy[str], pairs: tuple[PairNames, ...] = (OWN,)) -> Proof:
    """Return the one set of credentials of a request, perhaps under one of these pairs of names; refuse two sets."""
    paired = [each for each in pairs if any(name in headers for name in each)]
    if len(paired) + len(headers.getall("Authorization", ())) > 1:
        raise CredentialsRefused("Send one set of credentials, not several.")
    if paired:
        return pair(*(headers.getall(name, ()) for name in paired[0]))
    given = credentials_of(headers)
    # Checking a password is slow on purpose, and a proxy asks about every request.
    if isinstance(given, PasswordGiven):
        raise CredentialsRefused("Passwords are not accepted here; send a token's secret or a bearer token.")
    return given


def pair(ids: Sequence[str], secrets: Sequence[str]) -> SecretGiven:
    """Return the token's id and its secret from the two headers. Raises CredentialsRefused."""
    if len(ids) != 1 or len(secrets) != 1:
        raise CredentialsRefused("Send a client id together with its client secret, each once.")
    named = _CLIENT_ID.fullmatch(ids[0])
    if named is None:
        raise CredentialsRefused
    return client_secret(str(UUID(named[1])), secrets[0])
