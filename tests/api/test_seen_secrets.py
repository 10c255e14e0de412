"""Counters and marks of credentials are independent of the signing pepper."""

from counterfoil.core.credentials import BearerGiven, SecretGiven
from counterfoil.core.secret import Peppers, mint
from counterfoil_api.limits.credential_digests import digest_of


def test_a_secret_has_the_same_mark_when_another_pepper_signs() -> None:
    peppers = Peppers({1: b"1" * 32, 2: b"2" * 32})
    for given in (
        SecretGiven(mint("service").plain),
        SecretGiven("an-old-secret-of-another-service"),
        BearerGiven("e"),
    ):
        digests = set()
        for signing, retired in ((1, ()), (2, ()), (2, (1,))):
            peppers.follow(signing, retired)
            digests.add(digest_of(peppers, given))
        assert len(digests) == 1
    assert digest_of(peppers, SecretGiven("one")) != digest_of(peppers, SecretGiven("other"))
